/** Random numbers: the same from the same seed, of the distributions they are said to have. */
import { hashFraction, Random } from '../src/random.ts';

describe('Random', () => {
  it('draws the same numbers from the same seed, on every machine', () => {
    const random = new Random(42);
    const drawn = [random.uniform(), random.normal(), random.int(1000), random.choose(['a', 'b', 'c', 'd'], 3)];
    expect(drawn).toEqual([0.8371327622580099, 0.9194808537933835, 314, ['b', 'd', 'c']]);
  });

  it('draws other numbers from another seed', () => {
    expect(new Random(1).uniform()).not.toBe(new Random(2).uniform());
  });

  it('gives a named stream that does not depend on what was drawn before', () => {
    const fresh = new Random('seed').split('people');
    const used = new Random('seed');
    for (let i = 0; i < 10; i++) used.normal();
    expect(used.split('people').uniform()).toBe(fresh.uniform());
    expect(used.split('artists').uniform()).not.toBe(new Random('seed').split('people').uniform());
  });

  it('draws uniform numbers of mean 1/2 and variance 1/12 in [0, 1)', () => {
    const random = new Random('uniform');
    const numbers = Array.from({ length: 20_000 }, () => random.uniform());
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...numbers)).toBeLessThan(1);
    expect(Math.abs(mean(numbers) - 1 / 2)).toBeLessThan(0.01);
    expect(Math.abs(mean(numbers.map((x) => (x - 1 / 2) ** 2)) - 1 / 12)).toBeLessThan(0.003);
  });

  it('draws normal numbers of mean 0, variance 1 and fourth moment 3', () => {
    const random = new Random('normal');
    const numbers = Array.from({ length: 40_000 }, () => random.normal());
    expect(Math.abs(mean(numbers))).toBeLessThan(0.02);
    expect(Math.abs(mean(numbers.map((x) => x ** 2)) - 1)).toBeLessThan(0.03);
    expect(Math.abs(mean(numbers.map((x) => x ** 4)) - 3)).toBeLessThan(0.3);
  });

  it('draws every whole number below the bound about equally often', () => {
    const random = new Random('int');
    const counts = [0, 0, 0, 0, 0];
    for (let i = 0; i < 10_000; i++) counts[random.int(5)]! += 1;
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(200);
  });

  it('draws between two bounds', () => {
    const random = new Random('between');
    const numbers = Array.from({ length: 1000 }, () => random.between(-3, 5));
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(-3);
    expect(Math.max(...numbers)).toBeLessThan(5);
    expect(Math.abs(mean(numbers) - 1)).toBeLessThan(0.3);
  });

  it('chooses without replacement and leaves the items as they were', () => {
    const items = [1, 2, 3, 4, 5, 6];
    const random = new Random('choose');
    for (let i = 0; i < 50; i++) expect(new Set(random.choose(items, 4)).size).toBe(4);
    expect(random.shuffle(items).toSorted()).toEqual(items);
    expect(items).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('says what is wrong when there is nothing to draw from', () => {
    expect(() => new Random(1).int(0)).toThrow('int(0) has nothing to draw from: ask for a whole number above 0.');
    expect(() => new Random(1).choose([1, 2], 3)).toThrow('Cannot choose 3 different items of 2.');
  });
});

describe('hashFraction', () => {
  it('spreads names evenly and depends on the name alone', () => {
    const fractions = Array.from({ length: 5000 }, (_, i) => hashFraction(`artist ${i}`));
    expect(fractions.filter((fraction) => fraction < 0.25).length / 5000).toBeCloseTo(0.25, 1);
    expect(hashFraction('artist 7')).toBe(fractions[7]);
  });
});

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
}
