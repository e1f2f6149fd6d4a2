-- Trainings of a tenant's model: what was asked for, how it goes, what came of it; a candidate beside the active model; and
-- what was scored and shown.

-- CreateEnum
CREATE TYPE "training_status" AS ENUM ('QUEUED', 'RUNNING', 'SUCCEEDED', 'DECLINED', 'FAILED', 'CANCELLED');
-- AlterTable
ALTER TABLE "models" ADD COLUMN     "code_version" VARCHAR(64),
ADD COLUMN     "dataset_sha256" CHAR(64),
ADD COLUMN     "parent_id" UUID,
ADD COLUMN     "seed" INTEGER,
ADD COLUMN     "wanted_at" TIMESTAMPTZ(3);
-- AlterTable
ALTER TABLE "tenants" ADD COLUMN     "keep_exposures" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "train_after_judgements" INTEGER,
ADD COLUMN     "training_due_at" TIMESTAMPTZ(3),
ADD COLUMN     "training_schedule" VARCHAR(100);
-- CreateTable
CREATE TABLE "training_jobs" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "status" "training_status" NOT NULL DEFAULT 'QUEUED',
    "progress" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "stage" VARCHAR(100) NOT NULL,
    "requested_by" VARCHAR(255) NOT NULL,
    "tokens" INTEGER,
    "seed" INTEGER NOT NULL,
    "seed_chosen" BOOLEAN NOT NULL DEFAULT false,
    "promote_if_better" BOOLEAN NOT NULL,
    "cancel_requested_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),
    "seen_at" TIMESTAMPTZ(3),
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "deaths" INTEGER NOT NULL DEFAULT 0,
    "reason" VARCHAR(2000),
    "dataset_sha256" CHAR(64),
    "model_id" UUID,
    "revision" INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT "training_jobs_pkey" PRIMARY KEY ("tenant_id","id")
);
-- CreateTable
CREATE TABLE "training_losses" (
    "tenant_id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "step" INTEGER NOT NULL,
    "base" DOUBLE PRECISION NOT NULL,
    "contrastive" DOUBLE PRECISION NOT NULL,
    "total" DOUBLE PRECISION NOT NULL,
    "validation_accuracy" DOUBLE PRECISION,
    CONSTRAINT "training_losses_pkey" PRIMARY KEY ("tenant_id","job_id","step")
);
-- CreateTable
CREATE TABLE "shadows" (
    "tenant_id" UUID NOT NULL,
    "model_id" UUID NOT NULL,
    "share" DOUBLE PRECISION NOT NULL,
    "scored" BIGINT NOT NULL DEFAULT 0,
    "pairs" BIGINT NOT NULL DEFAULT 0,
    "alike" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "shadows_pkey" PRIMARY KEY ("tenant_id")
);
-- CreateTable
CREATE TABLE "exposures" (
    "tenant_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "image_id" UUID NOT NULL,
    "model_id" UUID NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    CONSTRAINT "exposures_pkey" PRIMARY KEY ("tenant_id","user_id","image_id","model_id")
);
-- CreateIndex
CREATE INDEX "training_jobs_tenant_id_status_id_idx" ON "training_jobs"("tenant_id", "status", "id");
-- CreateIndex
CREATE UNIQUE INDEX "training_jobs_tenant_id_model_id_key" ON "training_jobs"("tenant_id", "model_id");
-- CreateIndex
CREATE UNIQUE INDEX "shadows_tenant_id_model_id_key" ON "shadows"("tenant_id", "model_id");
-- CreateIndex
CREATE INDEX "exposures_tenant_id_model_id_idx" ON "exposures"("tenant_id", "model_id");
-- CreateIndex
CREATE INDEX "exposures_tenant_id_image_id_idx" ON "exposures"("tenant_id", "image_id");
-- CreateIndex
CREATE INDEX "exposures_tenant_id_at_idx" ON "exposures"("tenant_id", "at");
-- AddForeignKey
ALTER TABLE "models" ADD CONSTRAINT "models_tenant_id_parent_id_fkey" FOREIGN KEY ("tenant_id", "parent_id") REFERENCES "models"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE NO ACTION;
-- AddForeignKey
ALTER TABLE "training_jobs" ADD CONSTRAINT "training_jobs_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;
-- AddForeignKey
ALTER TABLE "training_jobs" ADD CONSTRAINT "training_jobs_tenant_id_model_id_fkey" FOREIGN KEY ("tenant_id", "model_id") REFERENCES "models"("tenant_id", "id") ON DELETE NO ACTION ON UPDATE NO ACTION;
-- AddForeignKey
ALTER TABLE "training_losses" ADD CONSTRAINT "training_losses_tenant_id_job_id_fkey" FOREIGN KEY ("tenant_id", "job_id") REFERENCES "training_jobs"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;
-- AddForeignKey
ALTER TABLE "shadows" ADD CONSTRAINT "shadows_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;
-- AddForeignKey
ALTER TABLE "shadows" ADD CONSTRAINT "shadows_tenant_id_model_id_fkey" FOREIGN KEY ("tenant_id", "model_id") REFERENCES "models"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;
-- AddForeignKey
ALTER TABLE "exposures" ADD CONSTRAINT "exposures_tenant_id_user_id_fkey" FOREIGN KEY ("tenant_id", "user_id") REFERENCES "users"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;
-- AddForeignKey
ALTER TABLE "exposures" ADD CONSTRAINT "exposures_tenant_id_image_id_fkey" FOREIGN KEY ("tenant_id", "image_id") REFERENCES "images"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;
-- AddForeignKey
ALTER TABLE "exposures" ADD CONSTRAINT "exposures_tenant_id_model_id_fkey" FOREIGN KEY ("tenant_id", "model_id") REFERENCES "models"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- One training a tenant at a time, whichever workers there are.
CREATE UNIQUE INDEX "training_jobs_one_running_key" ON "training_jobs"("tenant_id") WHERE "status" = 'RUNNING';

ALTER TABLE "training_jobs" ADD CONSTRAINT "training_jobs_progress_check" CHECK ("progress" BETWEEN 0 AND 1);
ALTER TABLE "shadows" ADD CONSTRAINT "shadows_share_check" CHECK ("share" > 0 AND "share" <= 1);
ALTER TABLE "exposures" ADD CONSTRAINT "exposures_value_check" CHECK ("value" BETWEEN 0 AND 1);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['training_jobs', 'training_losses', 'shadows', 'exposures'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name
    );
  END LOOP;
  -- Trainings are the tenant's own business.
  FOREACH name IN ARRAY ARRAY['training_jobs', 'training_losses'] LOOP
    EXECUTE format('CREATE POLICY person ON %I AS RESTRICTIVE USING ((SELECT app_user()) IS NULL)', name);
  END LOOP;
END
$$;

-- A person's request learns that a candidate scores beside the active model; it changes nothing of it.
CREATE POLICY person_insert ON "shadows" AS RESTRICTIVE FOR INSERT WITH CHECK ((SELECT app_user()) IS NULL);
CREATE POLICY person_update ON "shadows" AS RESTRICTIVE FOR UPDATE
    USING (true) WITH CHECK ((SELECT app_user()) IS NULL);
CREATE POLICY person_delete ON "shadows" AS RESTRICTIVE FOR DELETE USING ((SELECT app_user()) IS NULL);
CREATE POLICY person ON "exposures" AS RESTRICTIVE USING ((SELECT app_user()) IS NULL OR user_id = (SELECT app_user()));
