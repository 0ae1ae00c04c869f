import type { Event } from "../sse/event.ts";
import type { Group } from "./group.ts";
import type { Subscriber } from "./subscriber.ts";
import { isFor, matchesFilters } from "./subscription.ts";

/** Finds who gets an event, at a cost in proportion to who gets it, not to who is there. */
export class GroupIndex {
  readonly #ofTopic = new Places<Group>();
  readonly #unfiltered = new Places<Group>();
  readonly #byKey = new Places<Group>();
  readonly #byType = new Places<Group>();
  readonly #byPrefix = new Places<Group>();
  readonly #byChannel = new Places<Group>();
  readonly #byUser = new Places<Subscriber>();
  readonly #byClient = new Places<Subscriber>();
  #version = 0;

  /** Another one whenever groups have come or gone. */
  get version(): number {
    return this.#version;
  }

  addGroup(group: Group): void {
    this.#version += 1;
    for (const [places, name] of this.#placesOf(group)) places.add(name, group);
  }

  removeGroup(group: Group): void {
    this.#version += 1;
    for (const [places, name] of this.#placesOf(group)) places.remove(name, group);
  }

  addSubscriber(subscriber: Subscriber): void {
    const { user, clientId } = subscriber.identity;
    this.#byClient.add(clientId, subscriber);
    if (user !== undefined) this.#byUser.add(user, subscriber);
  }

  removeSubscriber(subscriber: Subscriber): void {
    const { user, clientId } = subscriber.identity;
    this.#byClient.remove(clientId, subscriber);
    if (user !== undefined) this.#byUser.remove(user, subscriber);
  }

  /** Different users among the subscribers, as they are now. */
  get users(): { readonly size: number; [Symbol.iterator](): Iterator<string> } {
    return this.#byUser;
  }

  /** The groups of a topic, whatever they filter on: for what concerns the topic itself. */
  groupsOfTopic(topic: string): ReadonlySet<Group> {
    return this.#ofTopic.get(topic);
  }

  /** The groups whose every member gets the event: of a targeted one, those that joined its channel. */
  groupsFor(event: Event): ReadonlySet<Group> {
    const found = new Set<Group>();
    for (const candidates of this.#candidates(event)) {
      for (const group of candidates) {
        if (matchesFilters(group.subscription, event)) found.add(group);
      }
    }
    return found;
  }

  /** The subscribers that a targeted event names as users or clients. */
  namedBy(event: Event): ReadonlySet<Subscriber> {
    const found = new Set<Subscriber>();
    const { users = [], clients = [] } = event.audience ?? {};
    const places = [
      ...users.map((user) => this.#byUser.get(user)),
      ...clients.map((client) => this.#byClient.get(client)),
    ];
    for (const subscribers of places) {
      for (const subscriber of subscribers) {
        if (isFor(event, subscriber.group.subscription, subscriber.identity)) found.add(subscriber);
      }
    }
    return found;
  }

  #candidates({ entry: { topic }, audience, type, key }: Event): ReadonlySet<Group>[] {
    if (audience) return audience.channels.map((channel) => this.#byChannel.get(channel));
    if (type === undefined) return [this.#ofTopic.get(topic)];
    const candidates = [this.#unfiltered.get(topic), this.#byType.get(place(topic, type))];
    if (key !== undefined) candidates.push(this.#byKey.get(place(topic, key)));
    if (this.#byPrefix.size > 0) {
      for (let end = 0; end <= type.length; end += 1) {
        candidates.push(this.#byPrefix.get(place(topic, type.slice(0, end))));
      }
    }
    return candidates;
  }

  *#placesOf({ subscription }: Group): Iterable<[Places<Group>, string]> {
    const { topics, types, keys, channels } = subscription;
    for (const topic of topics) {
      yield [this.#ofTopic, topic];
      if (keys) {
        for (const key of keys) yield [this.#byKey, place(topic, key)];
      } else if (types) {
        for (const type of types.exact) yield [this.#byType, place(topic, type)];
        for (const prefix of types.prefixes) yield [this.#byPrefix, place(topic, prefix)];
      } else {
        yield [this.#unfiltered, topic];
      }
    }
    for (const channel of channels) yield [this.#byChannel, channel];
  }
}

/** Topic names hold no "~": no two places are alike. */
function place(topic: string, name: string): string {
  return `${topic}~${name}`;
}

/** Sets by name that go when they are empty. Most names are a single one's, who needs no set. */
class Places<T extends object> {
  readonly #members = new Map<string, T | Set<T>>();
  static readonly #none: ReadonlySet<never> = new Set<never>();

  get size(): number {
    return this.#members.size;
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#members.keys();
  }

  get(name: string): ReadonlySet<T> {
    const members = this.#members.get(name);
    if (members === undefined) return Places.#none;
    return members instanceof Set ? members : new Set([members]);
  }

  add(name: string, member: T): void {
    const members = this.#members.get(name);
    if (members === undefined) this.#members.set(name, member);
    else if (members instanceof Set) members.add(member);
    else this.#members.set(name, new Set([members, member]));
  }

  remove(name: string, member: T): void {
    const members = this.#members.get(name);
    if (members instanceof Set) members.delete(member);
    const isEmpty = members instanceof Set ? members.size === 0 : members === member;
    if (isEmpty) this.#members.delete(name);
  }
}
