// Takes about 30 s.
import { row } from './lib/suite.mjs';

row('lighttpd-fastcgi');
