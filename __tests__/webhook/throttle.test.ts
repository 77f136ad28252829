// The throttle, on a clock of the test's own.
import fc from 'fast-check';
import { networkOf, Throttle } from '../../lib/webhook/throttle';

const SECOND = 1000;
const DAY = 24 * 60 * 60 * SECOND;

function setUp() {
  let time = 1_700_000_000_000;
  const throttle = new Throttle(() => time);
  return {
    throttle,
    pass: (milliseconds: number) => void (time += milliseconds),
    guess: (address: string | undefined, times = 1) => {
      for (let count = 0; count < times; count += 1) throttle.wrongKey(address);
    },
  };
}

describe('wrong keys', () => {
  test('19 are let pass, 20 are not', () => {
    const { throttle, guess } = setUp();
    guess('1.2.3.4', 19);
    expect(throttle.waitSeconds('1.2.3.4')).toBe(0);
    guess('1.2.3.4');
    expect(throttle.waitSeconds('1.2.3.4')).toBe(60);
    expect(throttle.waitSeconds('1.2.3.5')).toBe(0);
  });

  test('the wait gets shorter and is over after 60 s', () => {
    const { throttle, guess, pass } = setUp();
    guess('1.2.3.4', 20);
    pass(59 * SECOND + 999);
    expect(throttle.waitSeconds('1.2.3.4')).toBe(1);
    pass(1);
    expect(throttle.waitSeconds('1.2.3.4')).toBe(0);
    guess('1.2.3.4', 19);
    expect(throttle.waitSeconds('1.2.3.4')).toBe(0);
  });

  test('only those of the last 60 s count', () => {
    const { throttle, guess, pass } = setUp();
    for (let count = 0; count < 100; count += 1) {
      guess('1.2.3.4');
      pass(3.2 * SECOND);
      expect(throttle.waitSeconds('1.2.3.4')).toBe(0);
    }
  });

  test('the wait says when one more is allowed, and that is so', () => {
    const { throttle, guess, pass } = setUp();
    for (let count = 0; count < 20; count += 1) {
      guess('1.2.3.4');
      pass(SECOND);
    }
    const wait = throttle.waitSeconds('1.2.3.4');
    expect(wait).toBe(40);
    pass(wait * SECOND);
    expect(throttle.waitSeconds('1.2.3.4')).toBe(0);
  });

  test('a request without an address counts as one place', () => {
    const { throttle, guess } = setUp();
    guess(undefined, 20);
    expect(throttle.waitSeconds(undefined)).toBeGreaterThan(0);
    expect(throttle.waitSeconds('1.2.3.4')).toBe(0);
  });
});

describe('an address that showed a valid key', () => {
  test('is not throttled, before and after', () => {
    const { throttle, guess } = setUp();
    guess('1.2.3.4', 20);
    throttle.validKey('1.2.3.4');
    expect(throttle.waitSeconds('1.2.3.4')).toBe(0);
    guess('1.2.3.4', 100);
    expect(throttle.waitSeconds('1.2.3.4')).toBe(0);
  });

  test('is remembered for a day', () => {
    const { throttle, guess, pass } = setUp();
    throttle.validKey('1.2.3.4');
    pass(DAY - 1);
    guess('1.2.3.4', 20);
    expect(throttle.waitSeconds('1.2.3.4')).toBe(0);
    pass(1);
    expect(throttle.waitSeconds('1.2.3.4')).toBeGreaterThan(0);
  });

  test('is remembered anew with every valid key', () => {
    const { throttle, guess, pass } = setUp();
    throttle.validKey('1.2.3.4');
    pass(DAY - 1);
    throttle.validKey('1.2.3.4');
    pass(DAY - 1);
    guess('1.2.3.4', 20);
    expect(throttle.waitSeconds('1.2.3.4')).toBe(0);
  });
});

describe('memory', () => {
  const address = (number: number): string => `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;

  test('holds the 10,000 latest addresses', () => {
    const { throttle, guess } = setUp();
    guess('1.2.3.4', 20);
    for (let number = 0; number < 9_999; number += 1) guess(address(number));
    expect(throttle.waitSeconds('1.2.3.4')).toBeGreaterThan(0);
    guess(address(9_999));
    expect(throttle.waitSeconds('1.2.3.4')).toBe(0);
  });

  test('forgets those first that guessed longest ago', () => {
    const { throttle, guess } = setUp();
    guess('1.2.3.4', 19);
    for (let number = 0; number < 9_999; number += 1) guess(address(number));
    guess('1.2.3.4');
    for (let number = 9_999; number < 15_000; number += 1) guess(address(number));
    expect(throttle.waitSeconds('1.2.3.4')).toBeGreaterThan(0);
  });

  test('is not used up by valid keys of others either, nor by looking', () => {
    const { throttle, guess } = setUp();
    guess('1.2.3.4', 20);
    for (let number = 0; number < 20_000; number += 1) {
      throttle.validKey(address(number));
      throttle.waitSeconds(address(number));
    }
    expect(throttle.waitSeconds('1.2.3.4')).toBeGreaterThan(0);
    // The first of them are forgotten as ones that showed a valid key.
    guess(address(0), 20);
    expect(throttle.waitSeconds(address(0))).toBeGreaterThan(0);
    guess(address(19_999), 20);
    expect(throttle.waitSeconds(address(19_999))).toBe(0);
  });

  test('of one address does not grow with what it guesses', () => {
    const { throttle, guess } = setUp();
    guess('1.2.3.4', 100_000);
    expect(throttle.waitSeconds('1.2.3.4')).toBe(60);
  });
});

describe('what counts as one address', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:1::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['192.0.2.7:50123', '192.0.2.7'],
    ['[2001:db8:1:2::1]:50123', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2::1]', '2001:db8:1:2::/64'],
    // Groups behind the `::` may be of the first half.
    ['2001::3:4:5:6:7:8', '2001:0:3:4::/64'],
    ['::3:4:5:6:7:8', '0:0:3:4::/64'],
    ['1:2:3:4:5:6:7::', '1:2:3:4::/64'],
    ['::2:3:4:5:6:7:8', '0:2:3:4::/64'],
    ['2001:db8:0000:1000::1', '2001:db8:0:1000::/64'],
    // Of several digits in each place, and with each port.
    ['203.113.254.198', '203.113.254.198'],
    ['::ffff:203.113.254.198', '203.113.254.198'],
    ['203.113.254.198:8', '203.113.254.198'],
    ['[::ffff:203.113.254.198]:50123', '203.113.254.198'],
    ['', ''],
    ['nonsense', ''],
    // What only begins or ends as an address is none.
    ['x192.0.2.7:50123', ''],
    ['192.0.2.7:50123x', ''],
    ['192.0.2.7:', ''],
    ['192.0.2.7:x', ''],
    ['x[2001:db8::1]', ''],
    ['[2001:db8::1]x', ''],
    ['[2001:db8::1]:x', ''],
    ['[2001:db8::1', ''],
    ['x::ffff:192.0.2.7', ''],
    ['::ffff:192.0.2.7x', ''],
    ['1::ffff:192.0.2.7', '1:0:0:0::/64'],
    ['192.0.2.777', ''],
    ['192.0.2.7, 192.0.2.8', ''],
    ['2001:db8::1%' + 'x'.repeat(10_000), '2001:db8:0:0::/64'],
    ['x'.repeat(10_000), ''],
  ])('%s is %s', (address, network) => expect(networkOf(address)).toBe(network));

  test('every writing of one IPv6 address is the same, whatever its second half', () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    const groups = fc.array(group, { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, groups, (one, other) => {
        const network = one.slice(0, 4);
        const short = [...network, ...other.slice(4)].map((part) => part.toString(16)).join(':');
        const long = one.map((part) => part.toString(16).padStart(4, '0').toUpperCase()).join(':');
        expect(networkOf(short)).toBe(networkOf(long));
        expect(networkOf(short)).toBe(networkOf(new URL(`http://[${short}]`).hostname.slice(1, -1)));
      }),
    );
  });

  test('whatever a proxy says instead of an address, nothing throws, and it takes no more room than one', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(':', '.', '%', 'f', '0', '1', 'x', '[', ']') }),
        (address) => {
          const { throttle, guess } = setUp();
          expect(networkOf(address).length).toBeLessThan(30);
          guess(address, 20);
          throttle.validKey(address);
          expect(throttle.waitSeconds(address)).toBe(0);
        },
      ),
    );
  });
});
