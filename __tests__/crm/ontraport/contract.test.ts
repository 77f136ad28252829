// The contract suite for CRM clients on OntraportClient, with a sandbox as the account.
import { OntraportClient } from '../../../lib';
import {
  crmClientContract,
  OntraportSandbox,
  type CrmFailure,
  type FaultOptions,
} from '../../../lib/testing';

/** What Ontraport answers then. It says how long to wait, so that nobody waits in a test. */
const FAULTS: Readonly<Record<CrmFailure, FaultOptions['with']>> = {
  unauthorized: 'unauthorized',
  rateLimited: { status: 429, headers: { 'Retry-After': '0' }, body: 'Too many requests' },
  unavailable: 'error500',
  badResponse: 'html200',
};

// No waiting between the tries of a call.
beforeEach(() => void jest.spyOn(Math, 'random').mockReturnValue(0));
afterEach(() => void jest.restoreAllMocks());

crmClientContract({
  runner: { describe, it },
  name: 'OntraportClient',
  capabilities: { describeFields: true },
  open: async () => {
    const sandbox = await OntraportSandbox.start({ apiKey: 'api key&secret?\u00e4' });
    const [writableField, otherField] = [
      sandbox.addField({ key: 'f1556', alias: 'Password' }),
      sandbox.addField({ key: 'f1557', alias: 'Username' }),
    ];
    const { appId, apiKey, baseUrl } = sandbox;
    return {
      client: new OntraportClient({ appId, apiKey, baseUrl }),
      addContact: async ({ email, tags, fields }) =>
        sandbox.addContact({ ...fields, tags, ...(email === null ? {} : { email }) }),
      removeContact: async (id) => sandbox.deleteContact(id),
      missingId: '999999',
      writableField,
      otherField,
      stored: async (id, field) => sandbox.contact(id)?.[field] ?? null,
      fail: async (kind) => void sandbox.fail({ with: FAULTS[kind], times: Infinity }),
      secrets: [appId, apiKey],
      readCalls: () => sandbox.callCount({ method: 'GET', path: '/Contacts' }),
      close: () => sandbox.close(),
    };
  },
});
