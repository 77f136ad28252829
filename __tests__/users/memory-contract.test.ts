// The reference repository under the contract suite, with Jest's own functions: what it does is what the suite asks for.
import { MemoryUserRepository } from '../../lib';
import { userRepositoryContract } from '../../lib/testing';

userRepositoryContract({
  runner: { describe, it },
  name: 'MemoryUserRepository',
  capabilities: { rehearse: true },
  open: async () => {
    const users = new MemoryUserRepository();
    return {
      users,
      stored: async (id) => users.all().find((user) => user.id === id) ?? null,
      count: async () => users.all().length,
    };
  },
});
