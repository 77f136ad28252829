// Watches that a contact is in the hands of one process at a time, whatever the queue says: each process makes a file for a
// contact that it was given, which only one can, and only for such a contact it may write a user.
const { existsSync, linkSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

/** Wraps a site's queue and its repository. */
class Watch {
  /**
   * @param folder that the processes share; a file in it is a contact in work and holds the id of its process.
   * @param tell hears of a collision.
   */
  constructor(folder, tell) {
    this.folder = folder;
    this.tell = tell;
    this.inWork = new Map();
  }

  /** A queue that writes down what is taken before the worker gets it, and takes that away before the contact is free again. */
  queue(queue) {
    return wrap(queue, {
      take: async (...parameters) => {
        const taken = await queue.take(...parameters);
        for (const { contactId, token } of taken) this.begin(contactId, token);
        return taken;
      },
      finish: (name, lease, verdicts) => {
        this.end(lease.contactId, lease.token);
        return queue.finish(name, lease, verdicts);
      },
    });
  }

  /** A repository that tells of every user that is written for a contact that this process does not have. */
  users(users) {
    const contactOf = new Map();
    const seen = (user) => {
      if (user !== null) contactOf.set(user.id, user.contactId);
      return user;
    };
    const mine = (contactId, what) => {
      if (contactId !== null && !this.inWork.has(contactId))
        this.tell(contactId, `${what} without having it`);
    };
    return wrap(users, {
      findByContactId: async (contactId) => seen(await users.findByContactId(contactId)),
      create: async (user) => {
        mine(user.contactId, 'created');
        return seen(await users.create(user));
      },
      update: async (id, changes, ...condition) => {
        // The return of a password may go on behind its job; claims in the state of the user keep two of them apart.
        const isOfAReturn = Object.keys(changes).every((name) =>
          ['syncState', 'passwordHash'].includes(name),
        );
        if (!isOfAReturn) mine(contactOf.get(id) ?? null, 'updated');
        return seen(await users.update(id, changes, ...condition));
      },
    });
  }

  begin(contactId, token) {
    if (this.inWork.has(contactId)) this.tell(contactId, 'taken twice by one process');
    this.inWork.set(contactId, token);
    const file = join(this.folder, contactId);
    try {
      // There with its text or not at all, whenever a process is killed.
      linkSync(this.#name(), file);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      const other = Number(readFileSync(file, 'utf8'));
      if (isAlive(other)) this.tell(contactId, `taken while in the hands of ${other}`);
      rmSync(file, { force: true });
      linkSync(this.#name(), file);
    }
  }

  /** The file that tells which process this is. */
  #name() {
    const name = join(this.folder, `process ${process.pid}`);
    if (!existsSync(name)) writeFileSync(name, String(process.pid));
    return name;
  }

  end(contactId, token) {
    if (this.inWork.get(contactId) !== token) return;
    this.inWork.delete(contactId);
    // Whoever was given the contact since has a mark of its own.
    const file = join(this.folder, contactId);
    if (existsSync(file) && readFileSync(file, 'utf8') === String(process.pid)) rmSync(file, { force: true });
  }
}

/** An object whose methods are another's, but for some. */
function wrap(object, methods) {
  return new Proxy(object, {
    get: (target, name) => {
      const value = methods[name] ?? target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

module.exports = { Watch };
