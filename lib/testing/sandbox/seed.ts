// A made-up account with everything that real ones surprise a client with.
import type { Records } from './records';

/** Fills an account: fields of every type, 60 tags of which one is no contact's, contacts with every kind of unset value. */
export function seedAccount(records: Records): void {
  records.addField({ key: 'f1555', alias: 'Username' });
  records.addField({ key: 'f1556', alias: 'Password' });
  records.addField({ key: 'f1557', alias: 'Notes', type: 'longtext', editable: 1 });
  records.addField({ key: 'f1558', alias: 'Teams', type: 'list', options: { '586': 'Blue', '587': 'Red' } });
  // Two options with one label: nothing keeps people from making them.
  records.addField({
    key: 'f1559',
    alias: 'Plan',
    type: 'drop',
    options: { '586': 'Basic', '590': 'Gold', '612': 'Gold' },
  });
  records.addField({ key: 'f1560', alias: 'Consent', type: 'check' });
  records.addField({ key: 'f1561', alias: 'Points', type: 'numeric', editable: 1 });
  records.addField({ key: 'f1562', alias: 'Fee', type: 'price', editable: 0 });
  records.addField({ key: 'f1563', alias: 'Member Since', type: 'fulldate' });
  records.addField({ key: 'f1564', alias: 'Empty List', type: 'list', options: {} });
  records.addField({ key: 'f1565', alias: 'Last Login', type: 'timestamp', editable: null });
  records.addField({ key: 'MobilePhon_232', alias: 'Mobile Phone (old)', type: 'phone' });

  records.addTag('Customer', { id: 12 });
  records.addTag('Add User to WP', { id: 15 });
  for (let number = 1; number <= 57; number++) records.addTag(`Tag ${String(number).padStart(2, '0')}`);
  records.addTag('Tag of another object', { objectTypeId: 10_000 });

  records.addContact({
    firstname: 'Mary',
    lastname: 'Smith',
    email: 'mary@example.com',
    company: 'Acme',
    status: '7',
    birthday: '498700800',
    f1557: 'Line one\nLine "two"',
    f1558: '*/*586*/*587*/*',
    f1559: '586',
    f1560: '1',
    f1561: '12.50',
    f1562: '99.00',
    f1563: '1514940140',
    tags: ['Customer', 'Add User to WP'],
  });
  // Unset as `null`, `""` and `"0"`, also where the default of the type is another one.
  records.addContact({
    firstname: 'Joe',
    lastname: null,
    email: 'joe@example.com',
    company: '',
    status: '',
    birthday: null,
    contact_cat: null,
    f1558: null,
    f1559: '0',
    f1560: '',
    f1561: '',
    f1562: '0',
    f1563: '',
  });
  records.addContact({ firstname: 'Ann', email: '', birthday: '-86400', contact_cat: '*/**/*', f1560: '0' });
  // Two contacts, one address: emails are not unique.
  records.addContact({
    firstname: 'Mary',
    lastname: 'Smith-Jones',
    email: 'Mary@Example.com',
    tags: ['Tag 01'],
  });
}
