// The answers of the API: its JSON envelope, and the plain texts of its errors.

/** An answer before it is sent. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Errors come as text, though labelled HTML; only successes are JSON. */
export const textReply = (status: number, body: string): Reply => ({
  status,
  headers: { 'Content-Type': 'text/html;charset=UTF-8' },
  body,
});

export const UNAUTHORIZED = textReply(401, 'Your App ID and API Key do not authenticate.');
export const OBJECT_NOT_FOUND = 'Object not found';

/** Thrown by whatever reads parameters; becomes a 400 with its message. */
export class BadRequest extends Error {}
