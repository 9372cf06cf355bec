// Takes about 90 s.
import { row } from './lib/suite.mjs';

row('lighttpd-cgi');
