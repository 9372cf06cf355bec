import { row } from './lib/suite.mjs';

row('apache-htaccess');
