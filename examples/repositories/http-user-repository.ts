// The users of a site for wp-fusion-webhook, behind the HTTP API of another service. What that has to promise: user-service.js.
import { DuplicateUserError, StaleUserError, UserNotFoundError } from 'wp-fusion-webhook';
import type { NewUser, User, UserChanges, UserRepository } from 'wp-fusion-webhook';

export class HttpUserRepository implements UserRepository {
  constructor(private readonly service: { baseUrl: string; token: string; timeoutMs?: number }) {}

  async findByContactId(contactId: string): Promise<User | null> {
    const user = await this.#find({ contactId });
    if (user !== null && user.contactId !== contactId) throw new Error('The user service gave another user.');
    return user;
  }

  async findByEmail(email: string): Promise<User | null> {
    return this.#find({ email });
  }

  async create(user: NewUser): Promise<User> {
    return (await this.#call('POST', '/users', user)) as User;
  }

  /** The condition goes along: only the service can check it in the same step in which it writes. */
  async update(id: string, changes: UserChanges, condition?: { ifSyncState: string | null }): Promise<User> {
    const path = `/users/${encodeURIComponent(id)}`;
    return (await this.#call('PATCH', path, { changes, condition }, id)) as User;
  }

  async #find(query: { contactId: string } | { email: string }): Promise<User | null> {
    const found = await this.#call('GET', `/users?${new URLSearchParams(query).toString()}`);
    // Nobody is an empty list and nothing else; several are what a service gives that does not know the parameter.
    if (!Array.isArray(found) || found.length > 1)
      throw new Error('The user service gave no list of at most one.');
    return (found[0] as User | undefined) ?? null;
  }

  /** What the service answers. Whatever goes wrong and has no name is thrown as it is: it must not look like "nobody". */
  async #call(method: string, path: string, body?: object, id = ''): Promise<unknown> {
    const { baseUrl, token, timeoutMs = 5000 } = this.service;
    const response = await fetch(baseUrl + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body), // leaves out what is undefined
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs), // late may be written: the next webhook reads it
    });
    if (response.ok) return response.json();
    const refusal: unknown = await response.json().catch(() => ({}));
    const { error, field } = refusal as { error?: string; field?: 'contactId' | 'email' | 'username' };
    // By the name too, since a proxy or a wrong address answers 404 as well.
    if (response.status === 404 && error === 'USER_NOT_FOUND') throw new UserNotFoundError({ id });
    if (response.status === 412 && error === 'STALE_USER') throw new StaleUserError({ id });
    if (response.status === 409 && field !== undefined) throw new DuplicateUserError({ field });
    throw new Error(`The user service answered ${method} with the status ${response.status}.`);
  }
}
