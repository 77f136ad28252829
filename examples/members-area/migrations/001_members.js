// The tables as the site has had them for years. Nothing in them knows of a CRM.
const up = (knex) =>
  knex.raw(`
    create table roles (
      id serial primary key,
      name text not null unique
    );
    insert into roles (name) values ('member'), ('teacher'), ('admin');

    create table members (
      id bigserial primary key,
      email_address varchar(255) not null,
      password varchar(60) not null,
      first_name varchar(100) not null default '',
      last_name varchar(100) not null default '',
      company varchar(200),
      role_id integer not null references roles,
      created_at timestamptz not null,
      deleted_at timestamptz
    );

    create table tags (
      id serial primary key,
      name text not null unique
    );
    create table member_tags (
      member_id bigint not null references members on delete cascade,
      tag_id integer not null references tags,
      primary key (member_id, tag_id)
    );
  `);

const down = (knex) => knex.raw('drop table member_tags, tags, members, roles');

module.exports = { up, down };
