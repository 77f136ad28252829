// The demo's page. It asks the server for the state, a few times a second while somebody looks, and shows what is new in it.
const POLL_MS = 500;

const byId = (id) => document.getElementById(id);

/** The shown contacts, users and webhooks: the last state of each and its element, by kind and id. */
const shown = { contact: new Map(), user: new Map(), webhook: new Map() };
let isFirst = true;
let timer;
let asking;
/** Changes that are on their way, and how many there have been: a state that was asked for before one would undo it on the page. */
let changing = 0;
let changes = 0;

// Asking

/** Asks for the state and shows it. What is called meanwhile waits for an answer of its own: the one under way may be old. */
async function refresh() {
  clearTimeout(timer);
  const last = asking;
  const mine = (async () => {
    await last;
    try {
      const before = changing === 0 ? changes : undefined;
      const response = await fetch('/demo/state');
      if (!response.ok) throw new Error(`The server answered ${response.status}.`);
      const state = await response.json();
      // Else the change asks again when it is made.
      if (before === changes) show(state);
      byId('lost').hidden = true;
    } catch {
      byId('lost').hidden = false;
    }
  })();
  asking = mine;
  await mine;
  clearTimeout(timer);
  if (asking === mine && document.visibilityState === 'visible') timer = setTimeout(refresh, POLL_MS);
}

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') void refresh();
  else clearTimeout(timer);
});

/** Sends JSON; gives whether it worked. */
async function send(method, path, body) {
  changing += 1;
  changes += 1;
  try {
    const headers = { 'Content-Type': 'application/json' };
    const response = await fetch(path, { method, headers, body: JSON.stringify(body) });
    return response.ok;
  } catch {
    return false;
  } finally {
    changing -= 1;
    await refresh();
  }
}

// Showing

function show(state) {
  byId('account').hidden = !state.hasAccount;
  byId('lead').hidden = !state.hasAccount;
  byId('lead-real').hidden = state.hasAccount;
  byId('no-users').hidden = state.users.length > 0;
  byId('no-webhooks').hidden = state.webhooks.length > 0;
  byId('outage').checked = state.isDown;
  showQueue(state.queue);
  const news = [
    ...showList('contact', state.contacts, (contact) => contact.id, state),
    ...showList('user', state.users, (user) => user.id, state),
    ...showList('webhook', state.webhooks, (webhook) => String(webhook.number), state),
  ];
  if (!isFirst && news.length > 0) byId('news').textContent = news.join(' ');
  isFirst = false;
}

const kinds = {
  contact: { make: makeContact, fill: fillContact, news: () => undefined, atTop: false },
  user: {
    make: () => copy('user-template'),
    fill: fillUser,
    news: (user, isNew) => (isNew ? `User ${user.username} was created.` : `User ${user.username} changed.`),
    atTop: false,
  },
  webhook: {
    make: () => copy('webhook-template'),
    fill: fillWebhook,
    news: ({ action, contactId, state, outcome }) =>
      `Webhook ${action ?? ''} for contact ${contactId}: ${[state, outcome].filter(Boolean).join(', ')}.`,
    atTop: true,
  },
};

/** Brings one list up to date, touching only what is new in it; gives what there is to say of that. */
function showList(kind, items, idOf, state) {
  const { make, fill, news, atTop } = kinds[kind];
  const list = byId(`${kind}s`);
  const entries = shown[kind];
  const said = [];
  for (const item of items) {
    const id = idOf(item);
    const text = JSON.stringify(item);
    let entry = entries.get(id);
    if (entry?.text === text) continue;
    const isNew = entry === undefined;
    if (isNew) {
      entry = { element: make(item, state) };
      entries.set(id, entry);
      if (atTop) list.prepend(entry.element);
      else list.append(entry.element);
    }
    fill(entry.element, item, state);
    entry.text = text;
    if (!isFirst) flash(entry.element);
    said.push(news(item, isNew));
  }
  const ids = new Set(items.map(idOf));
  for (const [id, { element }] of entries) {
    if (ids.has(id)) continue;
    element.remove();
    entries.delete(id);
  }
  return said.filter((sentence) => sentence !== undefined);
}

function flash(element) {
  element.classList.remove('changed');
  void element.offsetWidth;
  element.classList.add('changed');
}

const copy = (template) => byId(template).content.firstElementChild.cloneNode(true);

/** Fills every `data-text` of an element. Nothing is ever put in as HTML. */
function fillText(element, texts) {
  for (const [name, text] of Object.entries(texts)) {
    element.querySelector(`[data-text="${name}"]`).textContent = text;
  }
}

const fullName = (first, last) => [first, last].filter(Boolean).join(' ');

function makeElement(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

// Contacts

function makeContact({ id }, { tags, addTag, plans }) {
  const element = copy('contact-template');
  const fieldset = element.querySelector('fieldset');
  for (const tag of tags) {
    const label = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.name = tag;
    label.append(box, tag);
    label.classList.toggle('makes-user', tag === addTag);
    box.addEventListener('change', () => {
      void send('PUT', `/demo/contacts/${id}/tags`, { tag, has: box.checked });
    });
    fieldset.append(label);
  }
  for (const plan of plans) {
    const option = makeElement('option', plan.label);
    option.value = plan.id;
    element.querySelector('select').append(option);
  }
  element.querySelector('.preview').href = `/demo/preview/${id}`;
  element.querySelector('.password button').addEventListener('click', () => {
    const login = byId('login').elements;
    login.email.value = element.querySelector('form').elements.email.value;
    login.password.value = element.querySelector('.password code').textContent;
    byId('login-result').textContent = '';
    byId('login').querySelector('button').focus();
  });
  element.querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault();
    void send('PATCH', `/demo/contacts/${id}`, Object.fromEntries(new FormData(event.target)));
  });
  return element;
}

function fillContact(element, contact) {
  const name = fullName(contact.firstname, contact.lastname) || contact.email || 'No name';
  fillText(element, {
    name,
    about: [`Contact ${contact.id}`, contact.email].filter(Boolean).join(' · '),
    password: contact.password ?? '',
  });
  element.querySelector('.password').hidden = !contact.password;
  element.querySelector('.password button').setAttribute('aria-label', `Use it to log in as ${name}`);
  element.querySelector('legend').textContent = `Tags of ${name}`;
  element.querySelector('summary').setAttribute('aria-label', `Change fields of ${name}`);
  for (const box of element.querySelectorAll('fieldset input')) box.checked = contact.tags.includes(box.name);
  for (const input of element.querySelector('form').elements) {
    if (input.name === '') continue;
    // What somebody is typing stays: only a field that still shows the old value gets the new one.
    const value = contact[input.name] ?? '';
    if (input.dataset.stored === undefined || input.value === input.dataset.stored) input.value = value;
    input.dataset.stored = value;
  }
}

byId('new-contact').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  if (await send('POST', '/demo/contacts', Object.fromEntries(new FormData(form)))) form.reset();
});

// Users

const LABELS = { firstName: 'First name', lastName: 'Last name', company: 'Company', plan: 'Plan' };

function fillUser(element, user) {
  fillText(element, {
    name: user.username,
    about: `User ${user.id} · ${user.role}${user.isWelcomed ? ' · welcome mail sent' : ''}`,
  });
  element.querySelector('ul').replaceChildren(...user.tags.map((tag) => makeElement('li', tag)));
  const rows = [
    ['Email', user.email],
    ...Object.entries(user.meta)
      .filter(([name]) => name !== 'email')
      .map(([name, value]) => [LABELS[name] ?? name, String(value)]),
    ['Contact', user.contactId ?? 'none'],
  ];
  element
    .querySelector('dl')
    .replaceChildren(...rows.flatMap(([name, value]) => [makeElement('dt', name), makeElement('dd', value)]));
}

byId('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const result = byId('login-result');
  let isIn = false;
  let text;
  try {
    const body = new URLSearchParams(new FormData(event.target));
    const response = await fetch('/login', { method: 'POST', body });
    const answer = await response.json();
    isIn = response.ok;
    text = isIn ? `Logged in as ${answer.username} (${answer.role})` : answer.message;
  } catch {
    text = 'The site cannot be reached.';
  }
  result.textContent = text;
  result.className = isIn ? 'good' : 'bad';
  if (isIn) byId('login').elements.password.value = '';
});

// Webhooks

const STATE_COLOURS = { queued: 'wait', done: 'good', dead: 'bad', failed: 'warn' };

function fillWebhook(element, { number, action, contactId, state, outcome, told }) {
  fillText(element, {
    number: `#${number}`,
    action: action ?? 'webhook',
    contact: contactId === null ? '' : `contact ${contactId}`,
    state,
    outcome,
    told,
  });
  // A demo that was started anew counts from 1 again.
  element.querySelector('.status').className = `status ${STATE_COLOURS[state]}`;
}

function showQueue({ waiting, dead }) {
  const waits = waiting === 0 ? 'The queue is empty.' : `${waiting} in the queue.`;
  const text = dead === 0 ? waits : `${waits} ${dead} given up.`;
  if (byId('queue').textContent !== text) byId('queue').textContent = text;
  const replay = byId('replay');
  // Who has just pressed it is not left without a place.
  if (dead === 0 && document.activeElement === replay) byId('webhooks-title').focus();
  replay.hidden = dead === 0;
}

byId('replay').addEventListener('click', () => void send('POST', '/demo/replay', {}));

byId('outage').addEventListener('change', (event) => {
  void send('PUT', '/demo/outage', { isDown: event.target.checked });
});

void refresh();
