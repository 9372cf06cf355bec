// Mostly waits.  Takes about 25 s.
import { row } from './lib/suite.mjs';

row('apache-htaccess');
