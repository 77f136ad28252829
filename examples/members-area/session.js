// Sessions without a store: a cookie says who is logged in and until when, and is signed, so that nobody else can write one.
const { createHmac, timingSafeEqual } = require('node:crypto');

const COOKIE = 'member';
const LASTS_MS = 14 * 24 * 60 * 60 * 1000;

/** `findMember(id)` gives the row of a member, with its password hash. */
function createSessions({ secret, findMember }) {
  /** The hash is signed too: whoever changes their password ends the sessions that there are. */
  const sign = (id, until, passwordHash) =>
    createHmac('sha256', secret)
      .update(JSON.stringify([id, until, passwordHash]))
      .digest('base64url');

  return {
    start(request, response, { id, password }) {
      const until = Date.now() + LASTS_MS;
      response.cookie(COOKIE, `${id}.${until}.${sign(id, until, password)}`, {
        httpOnly: true,
        sameSite: 'lax',
        secure: request.secure, // behind a proxy: app.set('trust proxy', …)
        maxAge: LASTS_MS,
      });
    },

    end(response) {
      response.clearCookie(COOKIE, { httpOnly: true, sameSite: 'lax' });
    },

    /** The member who is logged in, as the table knows them now. */
    async memberOf(request) {
      const [, id, until, signature] =
        /(?:^|; )member=(\d{1,18})\.(\d{1,15})\.([\w-]+)(?:;|$)/.exec(request.get('cookie') ?? '') ?? [];
      if (id === undefined || Number(until) < Date.now()) return undefined;
      const member = await findMember(id);
      if (member === undefined) return undefined;
      const right = Buffer.from(sign(id, Number(until), member.password));
      const given = Buffer.from(signature);
      return right.length === given.length && timingSafeEqual(right, given) ? member : undefined;
    },
  };
}

module.exports = { createSessions };
