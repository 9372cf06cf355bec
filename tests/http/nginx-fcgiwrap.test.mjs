// Mostly waits.  Takes about 20 s.
import { row } from './lib/suite.mjs';

row('nginx-fcgiwrap');
