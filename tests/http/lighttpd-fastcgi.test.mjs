import { suite } from './lib/suite.mjs';
import { EVERYTHING, TRANSPORT } from './cases/index.mjs';

suite('lighttpd-fastcgi', { mount: '/kvs', groups: EVERYTHING });
suite('lighttpd-fastcgi', { mount: '/', groups: TRANSPORT });
