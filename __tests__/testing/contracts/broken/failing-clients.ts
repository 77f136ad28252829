// CRM clients that say something else than what went wrong, or say too much.
import { WpFusionError, type Contact, type ContactFilter, type ReadOptions } from '../../../../lib';
import type { CrmFailure } from '../../../../lib/testing';
import { type BrokenClients, Client, TOKEN } from '../crm';

/** What an HTTP library throws. */
const axiosError = (token = TOKEN): Error =>
  Object.assign(new Error('Request failed'), { config: { headers: { Authorization: `Bearer ${token}` } } });

export const failing: BrokenClients = {
  'failures taken for no contact': {
    Client: class extends Client {
      override async getContacts(ids: readonly string[], options: ReadOptions = {}) {
        return await super.getContacts(ids, options).catch((error: unknown) => {
          if (options.signal?.aborted === true) throw error;
          return new Map<string, Contact>();
        });
      }
    },
    caughtBy: [
      'failures › getContacts throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › getContacts throws CRM_RATE_LIMITED (rateLimited)',
      'failures › getContacts throws CRM_UNAVAILABLE (unavailable)',
      'failures › getContacts throws CRM_BAD_RESPONSE (badResponse)',
    ],
  },
  'failures of writes swallowed': {
    Client: class extends Client {
      override async updateContact(
        id: string,
        fields: Readonly<Record<string, string>>,
        options: { signal?: AbortSignal } = {},
      ) {
        await super.updateContact(id, fields, options).catch((error: unknown) => {
          if (this.crm.failing === undefined) throw error;
        });
      }
    },
    caughtBy: [
      'failures › updateContact throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › updateContact throws CRM_RATE_LIMITED (rateLimited)',
      'failures › updateContact throws CRM_UNAVAILABLE (unavailable)',
      'failures › updateContact throws CRM_BAD_RESPONSE (badResponse)',
    ],
  },
  'walks that end where the CRM fails': {
    Client: class extends Client {
      override async *listContacts(filter: ContactFilter, options: ReadOptions = {}) {
        options.signal?.throwIfAborted();
        if (this.crm.failing === undefined) yield* super.listContacts(filter, options);
      }
    },
    caughtBy: [
      'failures › listContacts throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › listContacts throws CRM_RATE_LIMITED (rateLimited)',
      'failures › listContacts throws CRM_UNAVAILABLE (unavailable)',
      'failures › listContacts throws CRM_BAD_RESPONSE (badResponse)',
    ],
  },
  'CRM_UNAVAILABLE for everything': {
    Client: class extends Client {
      override error() {
        return new WpFusionError('CRM_UNAVAILABLE', 'The CRM failed.');
      }
    },
    caughtBy: [
      'failures › getContacts throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › updateContact throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › listContacts throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › getContacts throws CRM_RATE_LIMITED (rateLimited)',
      'failures › updateContact throws CRM_RATE_LIMITED (rateLimited)',
      'failures › listContacts throws CRM_RATE_LIMITED (rateLimited)',
      'failures › getContacts throws CRM_BAD_RESPONSE (badResponse)',
      'failures › updateContact throws CRM_BAD_RESPONSE (badResponse)',
      'failures › listContacts throws CRM_BAD_RESPONSE (badResponse)',
    ],
  },
  'errors of the library': {
    Client: class extends Client {
      override error() {
        return new Error('Request failed');
      }
    },
    caughtBy: [
      'failures › getContacts throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › updateContact throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › listContacts throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › getContacts throws CRM_RATE_LIMITED (rateLimited)',
      'failures › updateContact throws CRM_RATE_LIMITED (rateLimited)',
      'failures › listContacts throws CRM_RATE_LIMITED (rateLimited)',
      'failures › getContacts throws CRM_BAD_RESPONSE (badResponse)',
      'failures › updateContact throws CRM_BAD_RESPONSE (badResponse)',
      'failures › listContacts throws CRM_BAD_RESPONSE (badResponse)',
    ],
  },
  'a rate limit without retryAfter': {
    Client: class extends Client {
      override error(kind: CrmFailure) {
        return kind === 'rateLimited'
          ? new WpFusionError('CRM_RATE_LIMITED', 'Too many calls.')
          : super.error(kind);
      }
    },
    caughtBy: [
      'failures › getContacts throws CRM_RATE_LIMITED (rateLimited)',
      'failures › updateContact throws CRM_RATE_LIMITED (rateLimited)',
      'failures › listContacts throws CRM_RATE_LIMITED (rateLimited)',
    ],
  },
  'retryAfter as a header has it': {
    Client: class extends Client {
      override error(kind: CrmFailure) {
        return Object.assign(super.error(kind) as Error, kind === 'unavailable' ? { retryAfter: '30' } : {});
      }
    },
    caughtBy: [
      'failures › getContacts throws CRM_UNAVAILABLE (unavailable)',
      'failures › updateContact throws CRM_UNAVAILABLE (unavailable)',
      'failures › listContacts throws CRM_UNAVAILABLE (unavailable)',
    ],
  },
  'errors that are said to be final': {
    Client: class extends Client {
      override error(kind: CrmFailure) {
        return Object.assign(super.error(kind) as Error, { retryable: false });
      }
    },
    caughtBy: [
      'failures › getContacts throws CRM_RATE_LIMITED (rateLimited)',
      'failures › updateContact throws CRM_RATE_LIMITED (rateLimited)',
      'failures › listContacts throws CRM_RATE_LIMITED (rateLimited)',
      'failures › getContacts throws CRM_UNAVAILABLE (unavailable)',
      'failures › updateContact throws CRM_UNAVAILABLE (unavailable)',
      'failures › listContacts throws CRM_UNAVAILABLE (unavailable)',
      'failures › getContacts throws CRM_BAD_RESPONSE (badResponse)',
      'failures › updateContact throws CRM_BAD_RESPONSE (badResponse)',
      'failures › listContacts throws CRM_BAD_RESPONSE (badResponse)',
    ],
  },
  'credentials in the message': {
    Client: class extends Client {
      override error(kind: CrmFailure) {
        return kind === 'unauthorized'
          ? new WpFusionError('CRM_UNAUTHORIZED', `refused: ${TOKEN}`)
          : super.error(kind);
      }
    },
    caughtBy: [
      'failures › getContacts throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › updateContact throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › listContacts throws CRM_UNAUTHORIZED (unauthorized)',
    ],
  },
  'credentials in a URL in the message': {
    Client: class extends Client {
      override error(kind: CrmFailure) {
        const url = `https://crm.example/?key=${encodeURIComponent(TOKEN)}`;
        return kind === 'badResponse' ? new WpFusionError('CRM_BAD_RESPONSE', url) : super.error(kind);
      }
    },
    caughtBy: [
      'failures › getContacts throws CRM_BAD_RESPONSE (badResponse)',
      'failures › updateContact throws CRM_BAD_RESPONSE (badResponse)',
      'failures › listContacts throws CRM_BAD_RESPONSE (badResponse)',
    ],
  },
  'the error of the library as cause': {
    Client: class extends Client {
      override error(kind: CrmFailure) {
        const options = { cause: axiosError() };
        return kind === 'unavailable'
          ? new WpFusionError('CRM_UNAVAILABLE', 'down', options)
          : super.error(kind);
      }
    },
    caughtBy: [
      'failures › getContacts throws CRM_UNAVAILABLE (unavailable)',
      'failures › updateContact throws CRM_UNAVAILABLE (unavailable)',
      'failures › listContacts throws CRM_UNAVAILABLE (unavailable)',
    ],
  },
  'credentials of basic authentication in a property': {
    Client: class extends Client {
      override error(kind: CrmFailure) {
        const authorization = Buffer.from(`app:${TOKEN}`).toString('base64');
        return kind === 'rateLimited'
          ? Object.assign(super.error(kind) as Error, { request: { authorization } })
          : super.error(kind);
      }
    },
    caughtBy: [
      'failures › getContacts throws CRM_RATE_LIMITED (rateLimited)',
      'failures › updateContact throws CRM_RATE_LIMITED (rateLimited)',
      'failures › listContacts throws CRM_RATE_LIMITED (rateLimited)',
    ],
  },
  'credentials where a call is given up': {
    Client: class extends Client {
      override async getContacts(ids: readonly string[], options: ReadOptions = {}) {
        return await super.getContacts(ids, options).catch((error: unknown) => {
          throw this.crm.failing === undefined ? axiosError() : error;
        });
      }
    },
    caughtBy: ['failures › no error holds the credentials: an unknown contact, a call given up'],
  },
  'trouble without any': {
    Client: class extends Client {
      trouble() {
        return new WpFusionError('CRM_UNAVAILABLE', 'nobody knows');
      }
    },
    caughtBy: ['failures › trouble(), where there is one, says nothing while all is well'],
  },
};
