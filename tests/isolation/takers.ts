/**
 * What every id and every text that the API takes may name: written by hand. A new argument or input field fails the
 * suite until it has its line here, and has its cases in ids.test.ts from then on.
 */
import {
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLSchema,
  getNamedType,
  isInputObjectType,
} from 'graphql';
import type { NodeType } from '../../src/domain/ids.ts';
import { objectTypes } from './operations.ts';

/**
 * - a type, or several: a global id of it; `any`: of whatever type there is;
 * - `cursor`: a place in a list;
 * - `reference`: what a row may be found by beside its id: a name, or words of it;
 * - `name`: a name or a key that is given, of which each tenant has its own;
 * - `text`: names nothing, and is kept or checked as it is.
 */
export type Taken = readonly NodeType[] | 'any' | 'cursor' | 'reference' | 'name' | 'text';

export const TAKERS: Readonly<Record<string, Taken>> = {
  'Query.node(id)': 'any',
  'Query.nodes(ids)': 'any',

  'Query.user(by.id)': ['User'],
  'Query.user(by.externalId)': 'reference',
  'Query.users(after)': 'cursor',
  'User.feedback(after)': 'cursor',
  'User.score(imageId)': ['Image'],
  'User.rank(imageIds)': ['Image'],
  'User.recommendations(after)': 'cursor',
  'User.recommendations(collection)': 'reference',
  'User.nextToRate(collection)': 'reference',
  'User.similarUsers(after)': 'cursor',
  'Mutation.upsertUsers(input.items.externalId)': 'name',
  'Mutation.upsertUsers(input.items.displayName)': 'text',
  'Mutation.deleteUser(input.id)': ['User'],

  'Query.image(by.id)': ['Image'],
  'Query.image(by.externalId)': 'reference',
  'Query.images(after)': 'cursor',
  'Query.images(collection)': 'reference',
  'Query.images(query)': 'reference',
  'Mutation.updateImages(input.items.id)': ['Image'],
  'Mutation.updateImages(input.items.externalId)': 'name',
  'Mutation.updateImages(input.items.prompt)': 'text',
  'Mutation.updateImages(input.items.generator)': 'text',
  'Mutation.updateImages(input.items.owner.id)': ['User'],
  'Mutation.updateImages(input.items.owner.externalId)': 'reference',
  'Mutation.updateImages(input.items.collection)': 'name',
  'Mutation.deleteImages(input.ids)': ['Image'],

  'Mutation.submitFeedback(input.items.user.id)': ['User'],
  'Mutation.submitFeedback(input.items.user.externalId)': 'reference',
  'Mutation.submitFeedback(input.items.image.id)': ['Image'],
  'Mutation.submitFeedback(input.items.image.externalId)': 'reference',
  'Mutation.submitFeedback(input.items.comment)': 'text',
  'Mutation.submitFeedback(input.idempotencyKey)': 'name',
  'Mutation.submitComparison(input.user.id)': ['User'],
  'Mutation.submitComparison(input.user.externalId)': 'reference',
  'Mutation.submitComparison(input.chosen.id)': ['Image'],
  'Mutation.submitComparison(input.chosen.externalId)': 'reference',
  'Mutation.submitComparison(input.others.id)': ['Image'],
  'Mutation.submitComparison(input.others.externalId)': 'reference',
  'Mutation.submitComparison(input.idempotencyKey)': 'name',
  'Mutation.retractFeedback(input.ids)': ['Feedback', 'Comparison'],

  'Query.trainingJob(id)': ['TrainingJob'],
  'Query.trainingJobs(after)': 'cursor',
  'Mutation.startTraining(input.idempotencyKey)': 'name',
  'Mutation.cancelTraining(input.id)': ['TrainingJob'],
  'Subscription.trainingProgress(jobId)': ['TrainingJob'],
  'Query.models(after)': 'cursor',
  'Mutation.promoteModel(input.id)': ['Model'],
  'Mutation.setShadow(input.modelId)': ['Model'],

  'Query.apiKeys(after)': 'cursor',
  'Mutation.createApiKey(input.name)': 'text',
  'Mutation.revokeApiKey(input.id)': ['ApiKey'],
  'Query.auditLog(after)': 'cursor',

  'Query.tenants(after)': 'cursor',
  'Mutation.createTenant(input.name)': 'text',
  'Mutation.updateTenant(input.id)': ['Tenant'],
  'Mutation.updateTenant(input.name)': 'text',
  'Mutation.deleteTenant(input.id)': ['Tenant'],
  'Mutation.deleteTenant(input.confirmName)': 'text',
  'Mutation.updateTenantSettings(input.trainingSchedule)': 'text',
  'Mutation.updateTenantSettings(input.tokenIssuer)': 'text',
  'Mutation.updateTenantSettings(input.tokenKeySetUrl)': 'text',
  'Mutation.updateTenantSettings(input.tokenSecret)': 'text',
};

/** Scalars that name nothing: numbers, and instants. */
const NAMELESS = ['Int', 'Float', 'Boolean', 'DateTime'];

/** Every id and text that an argument takes, as `Type.field(argument.field.field)`. */
export function leavesOf(schema: GraphQLSchema): string[] {
  const leaves: string[] = [];
  const visit = (way: string, { type }: GraphQLArgument | GraphQLInputField, within: readonly string[]): void => {
    const named = getNamedType(type);
    if (isInputObjectType(named)) {
      if (within.includes(named.name)) return;
      for (const field of Object.values(named.getFields())) {
        visit(`${way}.${field.name}`, field, [...within, named.name]);
      }
    } else if (!('getValues' in named) && !NAMELESS.includes(named.name)) {
      leaves.push(`${way})`);
    }
  };
  for (const type of objectTypes(schema)) {
    for (const field of Object.values(type.getFields())) {
      for (const arg of field.args) visit(`${type.name}.${field.name}(${arg.name}`, arg, []);
    }
  }
  return leaves;
}
