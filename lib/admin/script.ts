// What the pages do in a browser beyond links and forms: they stay up to date, show times as the reader's clock does, and copy.
// All of it is a convenience: without a script everything is there.

/** The script of every page. */
export const SCRIPT = `'use strict';
(() => {
  const REFRESH_MS = 3000;
  const localTimes = () => {
    for (const time of document.querySelectorAll('time[datetime]')) {
      time.textContent = new Date(time.dateTime).toLocaleString();
    }
  };

  const isInUse = (element) =>
    element.contains(document.activeElement) || element.querySelector('details[open]') !== null;
  let failures = 0;
  const refresh = async () => {
    if (document.hidden || document.querySelector('[data-live]') === null) return;
    const response = await fetch(location.href, { headers: { Accept: 'text/html' }, redirect: 'error' });
    if (!response.ok) throw new Error(String(response.status));
    const page = new DOMParser().parseFromString(await response.text(), 'text/html');
    for (const shown of document.querySelectorAll('[data-live]')) {
      const news = page.getElementById(shown.id);
      if (news === null || isInUse(shown) || shown.dataset.live === news.dataset.live) continue;
      shown.dataset.live = news.dataset.live;
      shown.replaceChildren(...news.childNodes);
    }
    localTimes();
  };
  const goOn = () => {
    setTimeout(async () => {
      try {
        await refresh();
        failures = 0;
      } catch {
        failures += 1;
      }
      document.getElementById('not-live').hidden = failures < 3;
      goOn();
    }, Math.min(REFRESH_MS * 2 ** failures, 60000));
  };

  for (const button of document.querySelectorAll('button[data-copy]')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      const key = document.getElementById('whole-key')?.value.trim() || 'YOUR-ACCESS-KEY';
      const text = document.getElementById(button.dataset.copy).textContent;
      await navigator.clipboard.writeText(text.replace('YOUR-ACCESS-KEY', button.dataset.encode ? encodeURIComponent(key) : key));
      document.getElementById('copied').textContent = 'Copied.';
    });
  }
  for (const element of document.querySelectorAll('.with-script')) element.hidden = false;

  localTimes();
  goOn();
})();
`;
