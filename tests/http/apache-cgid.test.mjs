import { suite } from './lib/suite.mjs';
import { EVERYTHING, TRANSPORT } from './cases/index.mjs';

suite('apache-cgid', { mount: '/kvs', groups: EVERYTHING });
suite('apache-cgid', { mount: '/', groups: TRANSPORT });
