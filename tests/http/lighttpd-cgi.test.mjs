// Takes about 120 s.
import { row } from './lib/suite.mjs';

row('lighttpd-cgi');
