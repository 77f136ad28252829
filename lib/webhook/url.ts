// The address that is pasted into the CRM.

/** What a webhook asks for, and where. */
export interface WebhookUrlParts {
  /** The address of the site, with the path on which the middleware is mounted. */
  readonly site: string;
  readonly action: string;
  /** Left out where the key stands in a header. */
  readonly accessKey?: string | undefined;
  /** The CRM's merge field for the contact's id, which stands in the address as it is; default `[Contact ID]`. */
  readonly contactId?: string | undefined;
  readonly role?: string | undefined;
  readonly sendNotification?: boolean | undefined;
  readonly async?: boolean | undefined;
}

/** The address of a webhook. @throws TypeError where `site` is no address. */
export function webhookUrl(parts: WebhookUrlParts): string {
  const { site, action, accessKey, contactId = '[Contact ID]', role, sendNotification, async } = parts;
  const url = new URL(site);
  url.searchParams.set('wpf_action', action);
  if (accessKey !== undefined) url.searchParams.set('access_key', accessKey);
  if (role !== undefined) url.searchParams.set('role', role);
  if (sendNotification !== undefined) url.searchParams.set('send_notification', String(sendNotification));
  if (async !== undefined) url.searchParams.set('async', String(async));
  url.hash = '';
  // The CRM looks for its merge field letter by letter.
  return action === 'test' ? url.href : `${url.href}&contact_id=${contactId}`;
}
