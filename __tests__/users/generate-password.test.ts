// The generated password: how long, out of what, and how evenly.
import crypto from 'node:crypto';
import { generatePassword } from '../../lib/users/generate-password';

const DRAWS = 5000;
const passwords = Array.from({ length: DRAWS }, () => generatePassword());
const alphabet = [...new Set(passwords.join(''))];

describe('generatePassword', () => {
  it('gives 16 characters, never the same ones twice', () => {
    expect(passwords.filter((password) => password.length !== 16)).toEqual([]);
    expect(new Set(passwords).size).toBe(DRAWS);
  });

  it('uses letters and digits, none of which look alike', () => {
    expect(alphabet.filter((character) => !/[A-Za-z0-9]/.test(character))).toEqual([]);
    expect(alphabet.filter((character) => '0Oo1lIi'.includes(character))).toEqual([]);
  });

  it('holds a small letter, a capital and a digit', () => {
    for (const kind of [/[a-z]/, /[A-Z]/, /[0-9]/]) {
      expect(passwords.filter((password) => !kind.test(password))).toEqual([]);
    }
  });

  // Luck alone would draw some of these once in ten thousand times.
  it.each(['ABCDEFGHJKLMN234', 'abcdefghjkmnp234', 'ABCDEFGHabcdefgh'])(
    'throws away %s, which lacks a kind',
    (draw) => {
      const good = 'Abcdefghjkmnp234';
      const sorted = [...alphabet].sort();
      const random = jest.spyOn(crypto, 'randomInt') as unknown as jest.SpyInstance<number>;
      for (const character of draw + good) random.mockReturnValueOnce(sorted.indexOf(character));
      expect(generatePassword()).toBe(good);
      expect(random).toHaveBeenCalledTimes(32);
      random.mockRestore();
    },
  );

  it('has over 90 bits of entropy, the draws thrown away taken off', () => {
    const size = alphabet.length;
    const without = (pattern: RegExp): number =>
      (alphabet.filter((character) => !pattern.test(character)).length / size) ** 16;
    // At least this part passes (a draw that lacks two kinds is counted twice).
    const passing = 1 - without(/[a-z]/) - without(/[A-Z]/) - without(/[0-9]/);
    expect(16 * Math.log2(size) + Math.log2(passing)).toBeGreaterThan(90);
  });

  it('prefers no character of a kind and no place', () => {
    // A binomial count strays further than seven standard deviations once in some 10^11 times.
    const even = (counts: number[]): void => {
      const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
      for (const count of counts) expect(Math.abs(count - mean)).toBeLessThan(7 * Math.sqrt(mean));
    };
    const text = passwords.join('');
    for (const kind of [/[a-z]/, /[A-Z]/, /[0-9]/]) {
      const characters = alphabet.filter((character) => kind.test(character));
      even(characters.map((character) => text.split(character).length - 1));
    }
    even(Array.from({ length: 16 }, (_, at) => passwords.filter((p) => /[0-9]/.test(p.charAt(at))).length));
  });
});
