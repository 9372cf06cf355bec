import { row } from './lib/suite.mjs';

row('caddy-fastcgi');
