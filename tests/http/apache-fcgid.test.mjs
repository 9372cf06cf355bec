import { suite } from './lib/suite.mjs';
import { EVERYTHING, TRANSPORT } from './cases/index.mjs';

suite('apache-fcgid', { mount: '/kvs', groups: EVERYTHING });
suite('apache-fcgid', { mount: '/', groups: TRANSPORT });
