/** What a newcomer is told once the service answers: where it is, a key, and two requests to paste into a shell. */
import { people } from '../../gallery/people.ts';

export interface Welcome {
  readonly url: string;
  readonly serviceKey: string;
  readonly demo: boolean;
  readonly keysFile: string;
}

export function firstRequests({ url, serviceKey, demo, keysFile }: Welcome): string {
  const [one, two] = demo ? demoRequests() : emptyRequests();
  return `
Palate answers at ${url}

  service key   ${serviceKey}
  all keys      ${keysFile}

${one!.about}

${curl(url, serviceKey, one!.query)}

${two!.about}

${curl(url, serviceKey, two!.query)}

`;
}

function demoRequests() {
  const person = people().find(({ group }) => group === 'paper');
  const user = `user(by: {externalId: "${person!.externalId}"})`;
  return [
    {
      about: `What ${person!.displayName} would like next, and why:`,
      query: `{ ${user} { recommendations(first: 3) { nodes { value image { prompt url } explanation { influences(first: 2) { effect feedback { sentiment image { prompt } } } } } } } }`,
    },
    {
      about: `Whose taste is like ${person!.displayName}'s:`,
      query: `{ ${user} { similarUsers(first: 3) { nodes { similarity user { externalId } } } } }`,
    },
  ];
}

function emptyRequests() {
  return [
    { about: 'Who am I?', query: '{ viewer { role tenant { name activeModel { version } } } }' },
    {
      about: 'Make a person:',
      query: 'mutation { upsertUsers(input: {items: [{externalId: "ada"}]}) { users { id } userErrors { message } } }',
    },
  ];
}

/** A command for a POSIX shell; queries hold no single quote. */
function curl(url: string, key: string, query: string): string {
  return `curl -s ${url}/graphql \\
  -H 'authorization: Bearer ${key}' \\
  -H 'content-type: application/json' \\
  -d '${JSON.stringify({ query })}'`;
}
