import { row } from './lib/suite.mjs';

row('nginx-fcgiwrap');
