import { row } from './lib/suite.mjs';

row('busybox-cgi');
