// The keys of one history, in groups that are checked apart, and what their values are to the checker: numbers are themselves, all
// else is a number that stands for it.
const LISTED = 2 ** 30;

export class Space {
  // Keys are numbers here, and below ["h", name, group, number] in the store.  sizes: {group: how many keys}.
  constructor(name, sizes) {
    this.title = name;
    this.groups = [];
    this.names = [];
    this.texts = [];
    this.ids = new Map();
    for (const [kind, size] of Object.entries(sizes)) {
      // Keys that no operation has together are groups of their own.
      const apart = kind === 'register' || kind === 'counter';
      for (let i = 0; i < size; i++) {
        if (apart || i === 0) this.groups.push({ kind, keys: [] });
        this.groups.at(-1).keys.push(this.names.push(['h', name, kind, i]) - 1);
      }
    }
    this.all = this.names.map((_, key) => key);
  }

  name(key) {
    return this.names[key];
  }

  keyOf(name) {
    const text = JSON.stringify(name);
    return this.names.findIndex((other) => JSON.stringify(other) === text);
  }

  prefix(group) {
    return ['h', this.title, group.kind];
  }

  valueOf(json) {
    if (Number.isInteger(json) && json >= 0 && json < LISTED) return json;
    const text = JSON.stringify(json);
    let id = this.ids.get(text);
    if (id === undefined) {
      id = LISTED + this.texts.push(text) - 1;
      this.ids.set(text, id);
    }
    return id;
  }

  jsonOf(value) {
    return value < LISTED ? value : JSON.parse(this.texts[value - LISTED]);
  }

  // The items of a list; none where the key is missing.
  listOf(value) {
    const json = value < 0 ? [] : this.jsonOf(value);
    return Array.isArray(json) ? json : [json];
  }
}
