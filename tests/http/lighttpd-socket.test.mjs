import { row } from './lib/suite.mjs';

row('lighttpd-socket');
