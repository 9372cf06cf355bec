// Whether dequeues kept the order: no message was passed over that was ready all the time of a dequeue and stood before what it
// took.

const before = (a, b) => {
  if (a.priority !== b.priority) return a.priority > b.priority;
  return a.deliverAt !== b.deliverAt ? a.deliverAt < b.deliverAt : a.id < b.id;
};

// The time in which a message was ready beyond doubt: from the end of the request that made it so, without any delay, to the
// beginning of the first that may have changed that.
export function readyTime(message) {
  const { events } = message;
  const enqueued = events.find((event) => event.kind === 'enqueue');
  if (!enqueued || enqueued.ok !== true || message.delay > 0 || message.id === undefined) return null;
  const others = events.filter((event) => event !== enqueued);
  return { from: enqueued.end, to: Math.min(Infinity, ...others.map((event) => event.begin)) };
}

// dequeues: {topic, begin, end, limit, messages (as answered)}; doubts: beginnings of dequeues without an answer, by topic.
// Answers what is wrong, one line each.
export function passedOver(dequeues, messages, doubts) {
  const wrong = [];
  const times = messages.map((message) => ({ message, time: readyTime(message) })).filter(({ time }) => time);
  for (const dequeue of dequeues) {
    const taken = dequeue.messages;
    for (let i = 1; i < taken.length; i += 1)
      if (!before(taken[i - 1], taken[i])) wrong.push(`${taken[i - 1].id} before ${taken[i].id} in one answer`);
    const last = taken.length === dequeue.limit ? taken.at(-1) : null;
    for (const { message, time } of times) {
      if (message.topic !== dequeue.topic || time.from > dequeue.begin || time.to < dequeue.end) continue;
      // Somebody whose answer never came may have had it.
      if ((doubts.get(dequeue.topic) ?? []).some((begin) => begin < dequeue.end)) continue;
      // When it was due is known only where it has been seen.
      const seen = message.seen ?? message;
      if (last === null) wrong.push(`message ${message.id} was ready, and an answer with room has it not`);
      else if (message.priority > last.priority || (seen.deliverAt !== undefined && before(seen, last)))
        wrong.push(`message ${message.id} was ready and stood before ${last.id}, which was taken`);
    }
  }
  return wrong;
}
