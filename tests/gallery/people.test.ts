/** Simulated people: groups that agree within and not across, noise, and the prompts training reads. */
import { gallery } from '../../src/gallery/gallery.ts';
import { DEMO_PEOPLE, judge, liking, type Person, people } from '../../src/gallery/people.ts';
import { promptCorpus } from '../../src/gallery/prompts.ts';

const pictures = gallery(240);

/** Of the pictures both judged, the share they judged alike. */
function agreement(one: Person, other: Person): number {
  const [a, b] = [judge(one, pictures), judge(other, pictures)];
  const both = a.map((judgement, i) => [judgement.sentiment, b[i]!.sentiment]).filter((pair) => !pair.includes('SKIP'));
  return both.filter(([x, y]) => x === y).length / both.length;
}

describe('people', () => {
  it('are told apart by their ids, thirty to a letter', () => {
    const everyone = people();
    expect(everyone).toHaveLength(DEMO_PEOPLE);
    expect(new Set(everyone.map(({ externalId }) => externalId)).size).toBe(DEMO_PEOPLE);
    const [first, again] = [everyone[0]!, everyone[30]!];
    expect([first.displayName, first.externalId]).toEqual(['Ada', 'ada-graphic']);
    expect([again.displayName, again.externalId]).toEqual(['Ada B.', 'ada-b-graphic']);
  });

  it('judge the same each time', () => {
    expect(judge(people()[3]!, pictures)).toEqual(judge(people()[3]!, pictures));
  });

  it('agree within a group more than across, on average', () => {
    const everyone = people(30);
    const within: number[] = [];
    const across: number[] = [];
    for (const [index, one] of everyone.entries()) {
      for (const other of everyone.slice(index + 1))
        (one.group === other.group ? within : across).push(agreement(one, other));
    }
    const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean(within)).toBeGreaterThan(0.7);
    expect(mean(within) - mean(across)).toBeGreaterThan(0.2);
  });

  it('of one group are not copies of each other', () => {
    const [one, other] = people().filter((person) => person.group === 'paper');
    expect(agreement(one!, other!)).toBeLessThan(0.97);
  });

  it('are moody: some of what they like on paper they dislike today', () => {
    const person = people()[0]!;
    const against = judge(person, pictures).filter(
      ({ picture, sentiment }) =>
        sentiment !== 'SKIP' && (sentiment === 'LIKE') !== liking(person, picture.attributes) > 0,
    );
    expect(against.length).toBeGreaterThan(0);
    expect(against.length).toBeLessThan(pictures.length / 4);
  });

  it('like, dislike and skip', () => {
    for (const person of people()) {
      expect(new Set(judge(person, pictures).map(({ sentiment }) => sentiment))).toEqual(
        new Set(['LIKE', 'DISLIKE', 'SKIP']),
      );
    }
  });
});

describe('promptCorpus', () => {
  it('gives distinct prompts, the same for the same seed', () => {
    const prompts = promptCorpus(5000, 3);
    expect(new Set(prompts).size).toBe(5000);
    expect(prompts).toEqual(promptCorpus(5000, 3));
    expect(prompts).not.toEqual(promptCorpus(5000, 4));
  });

  it('varies in length from a bare subject to a paragraph, within what an image may carry', () => {
    const lengths = promptCorpus(2000, 1).map((prompt) => prompt.split(/\s+/).length);
    expect(Math.min(...lengths)).toBeLessThan(10);
    expect(Math.max(...lengths)).toBeGreaterThan(25);
    expect(Math.max(...promptCorpus(2000, 1).map((prompt) => prompt.length))).toBeLessThan(2000);
  });
});
