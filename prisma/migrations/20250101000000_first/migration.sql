-- CreateEnum
CREATE TYPE "api_key_role" AS ENUM ('ADMIN', 'SERVICE');

-- CreateEnum
CREATE TYPE "image_status" AS ENUM ('PENDING', 'READY', 'FAILED');

-- CreateEnum
CREATE TYPE "sentiment" AS ENUM ('LIKE', 'DISLIKE', 'SKIP');

-- CreateEnum
CREATE TYPE "model_status" AS ENUM ('CANDIDATE', 'ACTIVE', 'RETIRED');

-- CreateTable
CREATE TABLE "tenants" (
    "tenant_id" UUID NOT NULL,
    "name" VARCHAR(200) NOT NULL,
    "anonymous_similarity" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tenants_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "api_keys" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "name" VARCHAR(200) NOT NULL,
    "role" "api_key_role" NOT NULL,
    "prefix" VARCHAR(64) NOT NULL,
    "secret_sha256" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3),
    "last_used_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "users" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "external_id" VARCHAR(255) NOT NULL,
    "display_name" VARCHAR(255),
    "feedback_version" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "users_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "images" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "external_id" VARCHAR(255),
    "sha256" CHAR(64) NOT NULL,
    "format" VARCHAR(16) NOT NULL,
    "byte_length" INTEGER NOT NULL,
    "width" INTEGER NOT NULL,
    "height" INTEGER NOT NULL,
    "prompt" VARCHAR(2000),
    "generator" VARCHAR(255),
    "owner_id" UUID,
    "collection" VARCHAR(100),
    "status" "image_status" NOT NULL DEFAULT 'PENDING',
    "status_reason" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "images_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "embeddings" (
    "tenant_id" UUID NOT NULL,
    "image_id" UUID NOT NULL,
    "encoder" CHAR(64) NOT NULL,
    "vector" BYTEA NOT NULL,

    CONSTRAINT "embeddings_pkey" PRIMARY KEY ("tenant_id","image_id","encoder")
);

-- CreateTable
CREATE TABLE "item_vectors" (
    "tenant_id" UUID NOT NULL,
    "tower" CHAR(64) NOT NULL,
    "image_id" UUID NOT NULL,
    "vector" BYTEA NOT NULL,
    "written_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "item_vectors_pkey" PRIMARY KEY ("tenant_id","tower","image_id")
);

-- CreateTable
CREATE TABLE "feedback" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "image_id" UUID NOT NULL,
    "sentiment" "sentiment" NOT NULL,
    "weight" DOUBLE PRECISION NOT NULL,
    "comment" VARCHAR(2000),
    "judged_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "feedback_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "comparisons" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "chosen_id" UUID NOT NULL,
    "judged_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "comparisons_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "comparison_others" (
    "tenant_id" UUID NOT NULL,
    "comparison_id" UUID NOT NULL,
    "position" INTEGER NOT NULL,
    "image_id" UUID NOT NULL,

    CONSTRAINT "comparison_others_pkey" PRIMARY KEY ("tenant_id","comparison_id","position")
);

-- CreateTable
CREATE TABLE "models" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "status" "model_status" NOT NULL,
    "sha256" CHAR(64) NOT NULL,
    "tower" CHAR(64) NOT NULL,
    "image_encoder" CHAR(64) NOT NULL,
    "text_encoder" CHAR(64) NOT NULL,
    "layers" INTEGER NOT NULL,
    "heads" INTEGER NOT NULL,
    "tokens" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "promoted_at" TIMESTAMPTZ(3),

    CONSTRAINT "models_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "profiles" (
    "tenant_id" UUID NOT NULL,
    "model_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "vector" BYTEA NOT NULL,
    "likes" INTEGER NOT NULL,
    "dislikes" INTEGER NOT NULL,
    "feedback_version" INTEGER NOT NULL,
    "as_of" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "profiles_pkey" PRIMARY KEY ("tenant_id","model_id","user_id")
);

-- CreateTable
CREATE TABLE "recommendation_lists" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "model_id" UUID NOT NULL,
    "feedback_version" INTEGER NOT NULL,
    "collection" VARCHAR(100),
    "image_ids" UUID[],
    "scores" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "recommendation_lists_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "idempotency_keys" (
    "tenant_id" UUID NOT NULL,
    "operation" VARCHAR(64) NOT NULL,
    "key" VARCHAR(255) NOT NULL,
    "request_sha256" BYTEA NOT NULL,
    "answer" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_keys_pkey" PRIMARY KEY ("tenant_id","operation","key")
);

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_tenant_id_secret_sha256_key" ON "api_keys"("tenant_id", "secret_sha256");

-- CreateIndex
CREATE UNIQUE INDEX "users_tenant_id_external_id_key" ON "users"("tenant_id", "external_id");

-- CreateIndex
CREATE INDEX "images_tenant_id_status_id_idx" ON "images"("tenant_id", "status", "id");

-- CreateIndex
CREATE INDEX "images_tenant_id_collection_id_idx" ON "images"("tenant_id", "collection", "id");

-- CreateIndex
CREATE INDEX "images_tenant_id_owner_id_idx" ON "images"("tenant_id", "owner_id");

-- CreateIndex
CREATE UNIQUE INDEX "images_tenant_id_external_id_key" ON "images"("tenant_id", "external_id");

-- CreateIndex
-- NULLS NOT DISTINCT: a picture without an owner is stored once too.
CREATE UNIQUE INDEX "images_tenant_id_sha256_owner_id_key" ON "images"("tenant_id", "sha256", "owner_id") NULLS NOT DISTINCT;

-- CreateIndex
CREATE INDEX "item_vectors_tenant_id_image_id_idx" ON "item_vectors"("tenant_id", "image_id");

-- CreateIndex
CREATE INDEX "feedback_tenant_id_user_id_judged_at_id_idx" ON "feedback"("tenant_id", "user_id", "judged_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "feedback_tenant_id_image_id_idx" ON "feedback"("tenant_id", "image_id");

-- CreateIndex
CREATE UNIQUE INDEX "feedback_tenant_id_user_id_image_id_key" ON "feedback"("tenant_id", "user_id", "image_id");

-- CreateIndex
CREATE INDEX "comparisons_tenant_id_user_id_id_idx" ON "comparisons"("tenant_id", "user_id", "id");

-- CreateIndex
CREATE INDEX "comparisons_tenant_id_chosen_id_idx" ON "comparisons"("tenant_id", "chosen_id");

-- CreateIndex
CREATE INDEX "comparison_others_tenant_id_image_id_idx" ON "comparison_others"("tenant_id", "image_id");

-- CreateIndex
CREATE UNIQUE INDEX "models_tenant_id_version_key" ON "models"("tenant_id", "version");

-- CreateIndex
CREATE INDEX "profiles_tenant_id_user_id_idx" ON "profiles"("tenant_id", "user_id");

-- CreateIndex
CREATE INDEX "recommendation_lists_tenant_id_user_id_idx" ON "recommendation_lists"("tenant_id", "user_id");

-- CreateIndex
CREATE INDEX "recommendation_lists_tenant_id_model_id_idx" ON "recommendation_lists"("tenant_id", "model_id");

-- CreateIndex
CREATE INDEX "recommendation_lists_tenant_id_expires_at_idx" ON "recommendation_lists"("tenant_id", "expires_at");

-- CreateIndex
CREATE INDEX "idempotency_keys_tenant_id_created_at_idx" ON "idempotency_keys"("tenant_id", "created_at");

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "users" ADD CONSTRAINT "users_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "images" ADD CONSTRAINT "images_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "images" ADD CONSTRAINT "images_tenant_id_owner_id_fkey" FOREIGN KEY ("tenant_id", "owner_id") REFERENCES "users"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "embeddings" ADD CONSTRAINT "embeddings_tenant_id_image_id_fkey" FOREIGN KEY ("tenant_id", "image_id") REFERENCES "images"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "item_vectors" ADD CONSTRAINT "item_vectors_tenant_id_image_id_fkey" FOREIGN KEY ("tenant_id", "image_id") REFERENCES "images"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "feedback" ADD CONSTRAINT "feedback_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "feedback" ADD CONSTRAINT "feedback_tenant_id_image_id_fkey" FOREIGN KEY ("tenant_id", "image_id") REFERENCES "images"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "comparisons" ADD CONSTRAINT "comparisons_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "comparisons" ADD CONSTRAINT "comparisons_tenant_id_chosen_id_fkey" FOREIGN KEY ("tenant_id", "chosen_id") REFERENCES "images"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "comparison_others" ADD CONSTRAINT "comparison_others_tenant_id_comparison_id_fkey" FOREIGN KEY ("tenant_id", "comparison_id") REFERENCES "comparisons"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "comparison_others" ADD CONSTRAINT "comparison_others_tenant_id_image_id_fkey" FOREIGN KEY ("tenant_id", "image_id") REFERENCES "images"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "models" ADD CONSTRAINT "models_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "profiles" ADD CONSTRAINT "profiles_tenant_id_model_id_fkey" FOREIGN KEY ("tenant_id", "model_id") REFERENCES "models"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "profiles" ADD CONSTRAINT "profiles_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "recommendation_lists" ADD CONSTRAINT "recommendation_lists_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "recommendation_lists" ADD CONSTRAINT "recommendation_lists_tenant_id_model_id_fkey" FOREIGN KEY ("tenant_id", "model_id") REFERENCES "models"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;

-- One version serves a tenant.
CREATE UNIQUE INDEX "models_one_active_key" ON "models"("tenant_id") WHERE "status" = 'ACTIVE';

-- What the domain promises, held where the rows are.
ALTER TABLE "feedback" ADD CONSTRAINT "feedback_weight_check" CHECK ("weight" > 0 AND "weight" <= 10);
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_secret_sha256_check" CHECK (octet_length("secret_sha256") = 32);

-- Row-level security: a transaction sees and writes the rows of the tenant it was begun for
-- (src/database/tenantAdapter.ts), and none where it was begun for nobody. FORCE holds for the tables' owner too;
-- only a superuser passes by.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY[
    'tenants', 'api_keys', 'users', 'images', 'embeddings', 'item_vectors', 'feedback', 'comparisons',
    'comparison_others', 'models', 'profiles', 'recommendation_lists', 'idempotency_keys'
  ] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name
    );
  END LOOP;
END
$$;
