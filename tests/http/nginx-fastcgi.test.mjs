import { suite } from './lib/suite.mjs';
import { EVERYTHING, TRANSPORT } from './cases/index.mjs';

suite('nginx-fastcgi', { mount: '/kvs', groups: EVERYTHING });
suite('nginx-fastcgi', { mount: '/', groups: TRANSPORT });
