// Whether what was seen of one message is a possible life of a message.
//
// Events have a beginning and an end (numbers of one count: an operation begins when its request is sent and ends when its answer
// is there) and took effect at some moment between, or, where there was no answer, at some moment after the beginning or never.
// The search tries all orders that those times allow, forgetting states it has been in.

const GONE = 'gone';
const NONE = 'none';
const READY = 'ready';
const LEASED = 'leased';
const DEAD = 'dead';

// A state: phase, deliveries made, the lease that settles it (null for none), whether that may run out while the test lasts.
export const unborn = { phase: NONE, attempts: 0, lease: null, short: false };

const settles = (state, lease) => (state.phase === READY || state.phase === LEASED) && (lease === null || lease === state.lease);

// What a lease that ran out makes of it.
function lapse(state, max) {
  if (state.phase !== LEASED || !state.short) return null;
  return { ...state, phase: state.attempts >= max ? DEAD : READY, short: false };
}

// Each answers the state after the event where it can have happened in this one, else null.
const EFFECTS = {
  enqueue: (state) => (state.phase === NONE ? { ...state, phase: READY } : null),
  deliver: (state, event) => {
    if (state.phase !== READY || (event.attempts !== undefined && event.attempts !== state.attempts)) return null;
    return { phase: LEASED, attempts: state.attempts + 1, lease: event.lease, short: event.short };
  },
  ack: (state, event) => {
    if (settles(state, event.lease)) return event.ok ? { ...unborn, phase: GONE } : null;
    return event.ok ? null : state;
  },
  nack: (state, event, max) => {
    if (state.phase === LEASED && settles(state, event.lease))
      return event.ok ? { phase: state.attempts >= max ? DEAD : READY, attempts: state.attempts, lease: null, short: false } : null;
    return event.ok ? null : state;
  },
  extend: (state, event) => {
    if (state.phase === LEASED && settles(state, event.lease)) return event.ok ? { ...state, short: event.short } : null;
    return event.ok ? null : state;
  },
};

const keyOf = (state) => `${state.phase} ${state.attempts} ${state.lease} ${state.short}`;

// What may come next without any event of ours: its lease runs out, or a dequeue that got no answer takes it.
function hidden(state, max, unseen) {
  const next = [];
  const lapsed = lapse(state, max);
  if (lapsed) next.push([lapsed, unseen]);
  if (state.phase === READY && unseen > 0)
    next.push([{ phase: LEASED, attempts: state.attempts + 1, lease: `unseen ${unseen}`, short: true }, unseen - 1]);
  return next;
}

// An event whose outcome is unknown may have had its effect, or not.
function apply(state, event, max) {
  if (event.ok !== null) return [EFFECTS[event.kind](state, event, max)];
  return [EFFECTS[event.kind](state, { ...event, ok: true }, max), state];
}

// Whether the message can have come from state `before` through all events to what the dump says (null: it is not there).
// unseen: dequeues of its topic without an answer.
export function isPossible({ before, events, max, unseen, after }) {
  const seen = new Set();
  const ends = (state) => {
    if (after === null) return state.phase === GONE || state.phase === NONE;
    if (state.phase !== after.state || state.attempts !== after.attempts) return false;
    return state.lease === (after.lease ?? null) || (state.lease ?? '').startsWith('unseen');
  };
  const search = (state, left, unseenLeft) => {
    const key = `${keyOf(state)}|${left.map((event) => event.number).join(',')}|${unseenLeft}`;
    if (seen.has(key)) return false;
    seen.add(key);
    if (left.length === 0 && ends(state)) return true;
    for (const [next, rest] of hidden(state, max, unseenLeft)) if (search(next, left, rest)) return true;
    // Only what began before all that is left ended can be first.
    const end = Math.min(...left.map((event) => event.end));
    for (const event of left) {
      if (event.begin > end) continue;
      const rest = left.filter((other) => other !== event);
      for (const next of apply(state, event, max)) if (next && search(next, rest, unseenLeft)) return true;
    }
    return false;
  };
  return search(before, events, unseen);
}
