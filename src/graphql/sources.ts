/**
 * What the resolvers of each type receive (codegen.config.ts maps the types to these): a row or a value of the domain,
 * never what another type's resolvers made of it.
 */
import type { ApiKey, Feedback, Image, Model, Tenant, TrainingJob, User } from '../database/generated/client.ts';
import type { AuditEvent } from '../domain/auditLog.ts';
import type { Comparison } from '../domain/comparisons.ts';
import type { Credential } from '../domain/credentials.ts';
import type { ModelEvaluation } from '../domain/evaluations.ts';
import type { AttentionMap, Influence } from '../domain/explanations.ts';
import type { Page } from '../domain/pages.ts';
import type { Profile } from '../domain/profiles.ts';
import type { Score } from '../domain/scores.ts';
import type { ShadowOf } from '../domain/shadows.ts';
import type { SimilarUser } from '../domain/similarity.ts';

export type UserSource = User;
export type ImageSource = Image;
export type FeedbackSource = Feedback;
export type ComparisonSource = Comparison;
export type ModelSource = Model;
export type TenantSource = Tenant;
export type TenantSettingsSource = Tenant;
export type ViewerSource = Credential;
export type ApiKeySource = ApiKey;
export type AuditEventSource = AuditEvent;
export type ShadowSource = ShadowOf;
export type TrainingJobSource = TrainingJob;

/** A page, and how to count the whole list where it is asked for. */
export type CountedPage<T> = Page<T> & { totalCount(): Promise<number> };
export type UserConnectionSource = CountedPage<User>;
export type ImageConnectionSource = CountedPage<Image>;
export type FeedbackConnectionSource = CountedPage<Feedback>;

export type ScoreSource = Score;
/** The score that is explained. */
export type ScoreExplanationSource = Score;
export type InfluenceSource = Influence;
export type AttentionMapSource = AttentionMap;
/** One of a model version's preference tokens. */
export interface PreferenceTokenSource {
  modelId: string;
  index: number;
}
/** The weight of one preference token. */
export interface TokenAttentionSource extends PreferenceTokenSource {
  weight: number;
}

export type ModelComparisonSource = NonNullable<ModelEvaluation['against']>;
export type PreferenceProfileSource = Profile;
export type SimilarUserSource = SimilarUser;
