/** Every field of the schema answers: a resolver that was forgotten, or answers another type, is an error here. */
import { type GraphQLObjectType, getNamedType, isLeafType, isObjectType, isRequiredArgument } from 'graphql';
import { buildSchema } from '../../src/graphql/schema.ts';
import { type TestService, type TestTenant, testService } from './service.ts';

const schema = buildSchema();

let service: TestService;
let tenant: TestTenant;
let ids: string[];
let image: string;

beforeAll(async () => {
  service = await testService();
  tenant = await service.tenant();
  const [user] = (await tenant.people('ada')) as [string];
  image = await tenant.upload('#ff0000', { owner: 'ada', prompt: 'a red field' });
  const other = await tenant.upload('#0000ff');
  await tenant.encode();
  await tenant.judge(user, 'LIKE', image);
  const { data } = await tenant.ask(
    `mutation ($user: ID!, $image: ID!, $other: ID!) {
      submitComparison(input: { user: { id: $user }, chosen: { id: $image }, others: [{ id: $other }] }) {
        comparison { id user { feedback { nodes { id } } } }
      }
    }`,
    { user, image, other },
  );
  const { comparison } = data.submitComparison;
  const viewer = await tenant.ask('{ viewer { tenant { id activeModel { id } } } }');
  const { id, activeModel } = viewer.data.viewer.tenant;
  ids = [user, image, comparison.user.feedback.nodes[0].id, comparison.id, activeModel.id, id];
});
afterAll(() => service.close());

/** All fields of a type that can be asked for without an argument, and theirs, so deep. */
function everyField(type: GraphQLObjectType, depth: number): string {
  const fields = Object.values(type.getFields()).flatMap((field) => {
    if (field.args.some(isRequiredArgument)) return [];
    const result = getNamedType(field.type);
    if (isLeafType(result)) return [field.name];
    return depth > 0 && isObjectType(result) ? [`${field.name} { ${everyField(result, depth - 1)} }`] : [];
  });
  return fields.length > 0 ? fields.join(' ') : '__typename';
}

const typeOf = (name: string) => schema.getType(name) as GraphQLObjectType;

it.each(['User', 'Image', 'Feedback', 'Comparison', 'Model', 'Tenant'].map((name, i) => [name, i] as const))(
  'of a %s',
  async (name, i) => {
    // A deep question about everything costs more points than one operation may: each field is asked by itself.
    for (const field of Object.values(typeOf(name).getFields())) {
      if (field.args.some(isRequiredArgument)) continue;
      const result = getNamedType(field.type);
      const selection = isObjectType(result) ? `{ ${everyField(result, 1)} }` : '';
      const { data, errors } = await tenant.ask(
        `query ($id: ID!) { node(id: $id) { id ... on ${name} { asked: ${field.name} ${selection} } } }`,
        { id: ids[i] },
        tenant.adminKey,
      );
      expect(errors).toEqual([]);
      expect(data.node.id).toBe(ids[i]);
    }
  },
);

it('of a Score and its explanation', async () => {
  const { data, errors } = await tenant.ask(
    `query ($user: ID!, $image: ID!) {
      user(by: { id: $user }) { score(imageId: $image) { ${everyField(typeOf('Score'), 2)} } }
    }`,
    { user: ids[0], image },
    tenant.adminKey,
  );
  expect(errors).toEqual([]);
  expect(data.user.score.explanation.influences).toHaveLength(1);
});
