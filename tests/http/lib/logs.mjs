// Tells the lines of the servers' and programs' logs that are news from those that every run has.

const ALWAYS_BAD = [
  /(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer/,
  /runtime error:/,
  /Assertion .* failed/,
  /SIGSEGV|SIGABRT|SIGBUS|Segmentation fault/,
  /exit signal|core dumped|double free|malloc\(\)/,
];

// Lines that say nothing about the programs: starts, stops, and what the servers remark about their surroundings.
const ORDINARY = [
  /^--- /,
  /^\s*$/,
  // lighttpd
  /\(server\.c\.\d+\) (server started|server stopped|logfiles cycled|\[note\])/,
  /\(server\.c\.\d+\) graceful shutdown started/,
  /\(gw_backend\.c\.\d+\) (gw - found a host|got proc|child exited with status 0|spawning a new fcgi|fcgi-server re-enabled)/,
  // Apache
  /\[(core|mpm_[a-z]+|cgid?|fcgid):(notice|info|debug)\]/,
  // ... which asks its children again after a second or two
  /\[core:warn\].* AH00045: child process \d+ still did not exit, sending a SIGTERM$/,
  // ... a client that left in the middle of a stream
  /\[fcgid:warn\].*mod_fcgid: ap_pass_brigade failed in handle_request_ipc function/,
  /\[fcgid:(warn|info)\].*(mod_fcgid: process|mod_fcgid: server|graceful kill|AH)/,
  // nginx
  /\[(notice|info|debug)\]/,
  /\[warn\].*the "user" directive makes sense only if/,
  /\[warn\].*a client request body is buffered to a temporary file/,
  /\[warn\].*an upstream response is buffered to a temporary file/,
  // Caddy
  /^\{"level":"info",/,
  /^\{"level":"warn",.*"msg":"(admin endpoint disabled|automatic HTTPS is completely disabled|exiting; byeee|Caddyfile input is not formatted)/,
  // ... a client that left in the middle of a stream
  /^\{"level":"error",.*"msg":"aborting with incomplete response","error":"write tcp .*: (broken pipe|connection reset by peer)"/,
  // ... and one whose stream was open when it stopped
  /^\{"level":"error",.*"msg":"server shutdown","error":"context deadline exceeded"/,
  // the programs themselves
  /^(kvs\.fcgi|kvs\.cgi|kvs-maint)\[\d+\]: (info|debug): /,
  / (kvs\.fcgi|kvs\.cgi)\[\d+\]: (info|debug): /,
];

// While a server stops: a child of Apache's own that takes its memory away under its last threads.
export const STOPPING = [/AH00052: child pid \d+ exit signal Segmentation fault/];

// The lines of logs that neither the lists above nor the test's own (expected: RegExp[]) cover.
export function unexpectedLines(logs, expected = []) {
  return logs.split('\n').filter((line) => {
    if (expected.some((known) => known.test(line))) return false;
    return ALWAYS_BAD.some((bad) => bad.test(line)) || !ORDINARY.some((known) => known.test(line));
  });
}
