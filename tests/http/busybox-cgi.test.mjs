// Mostly waits.  Takes about 15 s.
import { row } from './lib/suite.mjs';

row('busybox-cgi');
