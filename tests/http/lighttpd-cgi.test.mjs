import { suite } from './lib/suite.mjs';
import { EVERYTHING, TRANSPORT } from './cases/index.mjs';

suite('lighttpd-cgi', { mount: '/kvs', groups: EVERYTHING });
suite('lighttpd-cgi', { mount: '/', groups: TRANSPORT });
