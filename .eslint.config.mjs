// The linter's rules. Those on imports keep the layering true: data goes one way through the folders of lib.
import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

const ROOT_FILES = ['middleware', 'options'];

/**
 * What a folder of lib may not import: everything that stands after it on a webhook's way. `webhook/` is the folder of that name:
 * other folders have files that are called so.
 */
const mayNotImport = (folder, forbidden) => ({
  files: [`lib/${folder}`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            // A file at the root of lib is named by its way up; a folder's own options.ts is another one.
            regex: `^(\\.{1,2}/(.*/)?(${forbidden
              .filter((name) => !ROOT_FILES.includes(name))
              .map((name) => name.replace(/\/$/, '(?=/)'))
              .join(
                '|',
              )})(/|$)|(\\.\\./)+(${forbidden.filter((name) => ROOT_FILES.includes(name)).join('|') || 'none'})$)`,
            message: `Imports go one way: ${folder} does not know ${forbidden.join(', ')}.`,
          },
        ],
      },
    ],
  },
});

export default tseslint.config(
  { ignores: ['dist', 'coverage', '**/node_modules', '.tmp', '__tests__/packaging/hosts'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.json', './__tests__/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      'no-console': 'error',
    },
  },
  {
    files: ['__tests__/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      'no-console': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.cjs', '**/*.mjs'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          'require',
          'module',
          'process',
          'console',
          '__dirname',
          '__filename',
          'setTimeout',
          'clearTimeout',
          'setInterval',
          'clearInterval',
          'setImmediate',
          'URL',
          'URLSearchParams',
          'Buffer',
          'fetch',
          'AbortSignal',
          'AbortController',
          'document',
          'window',
          'EventSource',
          'FormData',
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
  mayNotImport('errors.ts', ['.*']),
  {
    files: ['lib/telemetry/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^\\.\\./', message: 'Everybody knows telemetry; it knows nobody.' }] },
      ],
    },
  },
  mayNotImport('users/**/*.ts', [
    'queue',
    'actions',
    'webhook',
    'answer',
    'middleware',
    'options',
    'testing',
  ]),
  mayNotImport('crm/**/*.ts', [
    'users',
    'queue',
    'actions',
    'webhook',
    'answer',
    'middleware',
    'options',
    'testing',
  ]),
  mayNotImport('queue/**/*.ts', [
    'users',
    'crm',
    'actions',
    'worker',
    'walks',
    'webhook/',
    'answer',
    'middleware',
    'options',
    'testing',
  ]),
  mayNotImport('activity/**/*.ts', [
    'crm',
    'users',
    'actions',
    'worker',
    'walks',
    'webhook/',
    'answer',
    'middleware',
    'testing',
  ]),
  mayNotImport('actions/**/*.ts', ['worker', 'walks', 'webhook/', 'answer', 'middleware', 'testing']),
  mayNotImport('worker/**/*.ts', ['walks', 'webhook/', 'answer', 'middleware', 'testing']),
  mayNotImport('walks/**/*.ts', ['worker', 'webhook/', 'answer', 'middleware', 'testing']),
  mayNotImport('webhook/**/*.ts', ['answer', 'middleware', 'testing', 'actions', 'worker', 'walks']),
  mayNotImport('answer/**/*.ts', ['webhook', 'middleware', 'testing', 'worker', 'walks']),
  mayNotImport('knex/**/*.ts', [
    'webhook/',
    'actions',
    'answer',
    'middleware',
    'options',
    'testing',
    'smtp',
    'bullmq',
    'knex',
  ]),
  mayNotImport('bullmq/**/*.ts', [
    'users',
    'crm',
    'actions',
    'worker',
    'walks',
    'webhook/',
    'answer',
    'middleware',
    'options',
    'testing',
    'smtp',
    'knex',
  ]),
  mayNotImport('admin/**/*.ts', ['actions', 'worker', 'walks', 'testing', 'knex', 'bullmq', 'smtp', 'cli']),
  mayNotImport('smtp/**/*.ts', [
    'webhook',
    'actions',
    'answer',
    'middleware',
    'options',
    'testing',
    'bullmq',
    'knex',
    'nodemailer',
  ]),
  // The sandbox alone, and only where it is asked for: `import()` is no import to this rule.
  mayNotImport('cli/**/*.ts', ['knex', 'bullmq', 'smtp', 'testing']),
  mayNotImport('testing/**/*.ts', [
    'webhook',
    'actions',
    'answer',
    'middleware',
    'options',
    'jest',
    'vitest',
  ]),
);
