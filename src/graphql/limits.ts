/**
 * What one operation may cost, reckoned before anything runs: from the document and its coerced arguments, so that a
 * page size given by variable or by default counts like one that is written out. docs/api.md explains the points.
 */
import type { ApolloServerPlugin } from '@apollo/server';
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  type OperationDefinitionNode,
  TypeInfo,
  ValidationContext,
} from 'graphql';
import { type ComplexityEstimatorArgs, createComplexityRule } from 'graphql-query-complexity';
import { PalateError } from '../errors.ts';
import { checkShape, type ShapeLimits, shapeOf } from './shape.ts';
import { coerceVariables, takingCoerced, type Variables } from './variables.ts';

/** Points for a field itself, where it does more than read what is loaded: a pass of the model or a scan of vectors. */
export const OWN_COST: Readonly<Record<string, number>> = {
  'User.score': 5,
  'User.rank': 20,
  'User.recommendations': 100,
  'User.nextToRate': 100,
  'User.similarUsers': 20,
  'Image.similarImages': 20,
  'PreferenceToken.exemplars': 5, // a search of what is kept
  'ScoreExplanation.influences': 20, // the score again with each judgement left out
  // Rows counted one by one:
  'UserConnection.totalCount': 20,
  'ImageConnection.totalCount': 20,
  'Tenant.userCount': 20,
  'Tenant.imageCount': 20,
  'Tenant.feedbackCount': 20,
  'Model.live': 100, // exposures, each with its judgement
  'TrainingJob.losses': 5, // a whole curve is read, whatever is left of it
  'Model.readiness': 100, // images and people, each with what is prepared for it
};

/** Points of a search of prompts (`Query.images` with `query`), which reads every one of them. */
export const SEARCH_COST = 100;

/** Points of the children of a list that no argument bounds: nothing here is longer by much. */
const UNBOUNDED_LIST = 10;
const UNBOUNDED_LISTS = new Set(['PreferenceProfile.tokens', 'ScoreExplanation.tokens', 'Model.preferenceTokens']);

const lengthOf = (value: unknown) => (Array.isArray(value) ? value.length : undefined);

/** How many times the children of a field are resolved: its page size, or the ids or items it is given. */
function childCount(path: string, args: Record<string, unknown>): number {
  const input = args['input'] as Record<string, unknown> | undefined;
  const count =
    (args['first'] as number | null | undefined) ??
    (args['maxPoints'] as number | null | undefined) ??
    lengthOf(args['ids']) ??
    lengthOf(args['imageIds']) ??
    lengthOf(input?.['items']) ??
    lengthOf(input?.['ids']) ??
    (UNBOUNDED_LISTS.has(path) ? UNBOUNDED_LIST : 1);
  return Math.max(1, count);
}

/** A field costs its own points, 1 where the table names none, and its children's as often as they are resolved. */
function estimate({ type, field, args, childComplexity }: ComplexityEstimatorArgs): number {
  const path = `${type.name}.${field.name}`;
  const searches = path === 'Query.images' && typeof args['query'] === 'string';
  return (OWN_COST[path] ?? (searches ? SEARCH_COST : 1)) + childCount(path, args) * childComplexity;
}

/** By the context of the request. */
const reckoned = new WeakMap<object, number>();

/** Points that a request's operation costs. Throws INTERNAL_SERVER_ERROR before `costLimit` has reckoned them. */
export function costOf(contextValue: object): number {
  const cost = reckoned.get(contextValue);
  if (cost !== undefined) return cost;
  throw new PalateError('INTERNAL_SERVER_ERROR', 'An operation came to be charged before its cost was known.');
}

/**
 * Refuses an operation of too large a shape, or one that would cost more than `maxCost` points: QUERY_TOO_COSTLY, with
 * both figures. The shape comes first: it bounds the work of reckoning the cost.
 */
export function costLimit(maxCost: number, shape: ShapeLimits): ApolloServerPlugin {
  return {
    async requestDidStart() {
      return {
        async didResolveOperation(requestContext) {
          const { schema, document, request, operation, contextValue } = requestContext;
          if (!operation) return;
          checkShape(shapeOf(document, operation), shape);
          const variables = asUserInput(() => coerceVariables(schema, operation, request.variables ?? {}));
          const cost = asUserInput(() => reckon(schema, document, operation, variables));
          reckoned.set(contextValue, cost);
          if (cost <= maxCost) {
            Object.assign(requestContext, { document: takingCoerced(schema, document, operation) });
            request.variables = variables;
            return;
          }
          throw new GraphQLError(
            `This operation costs ${cost} points and at most ${maxCost} are allowed: ask for smaller pages or fewer fields.`,
            { extensions: { code: 'QUERY_TOO_COSTLY', cost, maxCost, http: { status: 400 } } },
          );
        },
      };
    },
  };
}

/** Points of an operation, by the rule alone: asked as a validation, it would coerce all variables once more. */
function reckon(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
): number {
  const faults: GraphQLError[] = [];
  const context = new ValidationContext(schema, document, new TypeInfo(schema), (fault) => faults.push(fault));
  const rule = createComplexityRule({ maximumComplexity: Infinity, estimators: [estimate] })(context);
  rule.variableValues = { ...variables };
  const cost = rule.nodeComplexity(operation, schema.getRootType(operation.operation) ?? undefined);
  if (faults[0]) throw faults[0];
  return cost;
}

/** Variables that do not fit are found out here, before execution would: told with the same code. */
function asUserInput<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    const { message, nodes } = error;
    const extensions = { code: 'BAD_USER_INPUT', http: { status: 400 } };
    throw new GraphQLError(message, nodes ? { nodes, extensions } : { extensions });
  }
}
