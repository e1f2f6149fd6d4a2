/**
 * `node` and `nodes`: any object by its global id. An id of another tenant, of no type here, or of a type that the
 * caller's role may not read, is null.
 */
import type { GraphQLSchema } from 'graphql';
import { fromGlobalId } from '../../domain/ids.ts';
import { findTenant, readTenant } from '../../domain/tenants.ts';
import { PalateError } from '../../errors.ts';
import { accessRules } from '../allow.ts';
import type { Context } from '../context.ts';
import type { Resolvers } from '../generated/resolvers.ts';

/** The most ids that one `nodes` takes. */
const MAX_NODES = 100;

/** How a row of each type is read; the type itself says who may see its fields. */
const READERS = {
  User: (id, { loaders }) => loaders.users.load(id),
  Image: (id, { loaders }) => loaders.images.load(id),
  Feedback: (id, { loaders }) => loaders.feedback.load(id),
  Comparison: (id, { loaders }) => loaders.comparisons.load(id),
  Model: (id, { loaders }) => loaders.models.load(id),
  ApiKey: (id, { loaders }) => loaders.apiKeys.load(id),
  AuditEvent: (id, { loaders }) => loaders.auditEvents.load(id),
  TrainingJob: (id, { loaders }) => loaders.trainingJobs.load(id),
  Tenant: async (id, { platform, caller: { credential } }) => {
    if (credential.role === 'OPERATOR') return findTenant(platform.database, id);
    return id === credential.tenant.id ? readTenant(platform.database) : null;
  },
} satisfies Record<string, (id: string, context: Context) => Promise<object | null>>;

type NodeType = keyof typeof READERS;

/** A row that says which type it is: `Node` is resolved by it. */
async function readNode(globalId: string, context: Context, schema: GraphQLSchema) {
  const named = fromGlobalId(globalId);
  if (!named || !Object.hasOwn(READERS, named.type)) return null;
  if (!accessRules(schema).allows(context.caller.credential.role, named.type, 'id')) return null;
  const row = await READERS[named.type as NodeType](named.id, context);
  return row && { ...row, __typename: named.type as NodeType };
}

export const nodeResolvers: Pick<Resolvers, 'Query' | 'Node'> = {
  Query: {
    node: (_, { id }, context, { schema }) => readNode(id, context, schema),
    nodes(_, { ids }, context, { schema }) {
      if (ids.length > MAX_NODES) {
        throw new PalateError('BAD_USER_INPUT', `ids has ${ids.length} ids; nodes takes at most ${MAX_NODES}.`);
      }
      return Promise.all(ids.map((id) => readNode(id, context, schema)));
    },
  },
};
