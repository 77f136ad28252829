// The pages, as HTML. Values are text in them, whatever they look like.
const course = require('./course');

class Html {
  constructor(text) {
    this.text = text;
  }
}

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function shown(value) {
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(shown).join('');
  return String(value ?? '').replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/** A template: what another one made goes in as it is, everything else as text. */
const html = (strings, ...values) =>
  new Html(
    strings.map((string, index) => string + (index < values.length ? shown(values[index]) : '')).join(''),
  );

/** A whole page, as text. */
function page({ title, member, body }) {
  const top = html`<nav aria-label="Your account">
        <span>${member?.first_name || member?.email_address}</span>
        <form method="post" action="/logout"><button type="submit" class="quiet">Log out</button></form>
      </nav>`;
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${title} · Brush &amp; Paper</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="/style.css" />
  </head>
  <body>
    <header>
      <a href="/" class="name">Brush &amp; Paper</a>
      ${member === undefined ? '' : top}
    </header>
    <main>
      <h1>${title}</h1>
      ${body}
    </main>
  </body>
</html>
`.text;
}

const loginPage = ({ email = '', to = '/', isWrong = false } = {}) =>
  page({
    title: 'Log in',
    body: html`${isWrong ? html`<p class="wrong" role="alert">The email or the password is wrong.</p>` : ''}
      <form method="post" action="/login" class="card">
        <input type="hidden" name="to" value="${to}" />
        <label>Email <input name="email" type="email" value="${email}" required autocomplete="username" /></label>
        <label>Password <input name="password" type="password" required autocomplete="current-password" /></label>
        <button type="submit">Log in</button>
      </form>`,
  });

const memberPage = ({ member, tags }) =>
  page({
    title: `Welcome, ${member.first_name || member.email_address}`,
    member,
    body: html`<section class="card">
        <h2>${course.title}</h2>
        <p>${tags.includes(course.tag) ? 'The course is open to you.' : 'You do not have this course yet.'}</p>
        <p><a href="${course.path}">${tags.includes(course.tag) ? 'To the course' : 'See the course'}</a></p>
      </section>
      <section class="card">
        <h2>About you</h2>
        <dl>
          <dt>Email</dt>
          <dd>${member.email_address}</dd>
          <dt>Company</dt>
          <dd>${member.company || 'none'}</dd>
          <dt>Role</dt>
          <dd>${member.role}</dd>
          <dt>Tags</dt>
          <dd>${tags.join(', ') || 'none'}</dd>
        </dl>
      </section>`,
  });

const coursePage = ({ member }) =>
  page({
    title: course.title,
    member,
    body: html`<section class="card">
      <h2>Lesson 1: Wet on wet</h2>
      <p>Wet the paper first. Then touch it with a loaded brush, and let the colour run where it wants to.</p>
    </section>`,
  });

const closedPage = ({ member, orderUrl }) =>
  page({
    title: course.title,
    member,
    body: html`<section class="card">
      <p>This course is not open to you yet. It opens here as soon as you have ordered it.</p>
      <p><a class="button" href="${orderUrl}">Order the course</a></p>
    </section>`,
  });

const messagePage = ({ title, text }) => page({ title, body: html`<p>${text}</p>` });

module.exports = { closedPage, coursePage, html, loginPage, memberPage, messagePage, page };
