// Takes about 60 s.  Runs on the plain build.
import { row } from './lib/suite.mjs';

row('lighttpd-cgi');
