-- What each preference token stands for: the images that excite it most.

-- CreateTable
CREATE TABLE "token_exemplars" (
    "tenant_id" UUID NOT NULL,
    "model_id" UUID NOT NULL,
    "token" INTEGER NOT NULL,
    "image_id" UUID NOT NULL,
    "weight" DOUBLE PRECISION NOT NULL,

    CONSTRAINT "token_exemplars_pkey" PRIMARY KEY ("tenant_id","model_id","token","image_id")
);

-- CreateIndex
CREATE INDEX "token_exemplars_tenant_id_image_id_idx" ON "token_exemplars"("tenant_id", "image_id");

-- AddForeignKey
ALTER TABLE "token_exemplars" ADD CONSTRAINT "token_exemplars_tenant_id_model_id_fkey" FOREIGN KEY ("tenant_id", "model_id") REFERENCES "models"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "token_exemplars" ADD CONSTRAINT "token_exemplars_tenant_id_image_id_fkey" FOREIGN KEY ("tenant_id", "image_id") REFERENCES "images"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "token_exemplars" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "token_exemplars" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "token_exemplars" USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
-- A person reads them of the pictures that they see, and writes none. The policies of images hold within.
CREATE POLICY person ON "token_exemplars" AS RESTRICTIVE USING ((SELECT app_user()) IS NULL OR EXISTS (
    SELECT FROM "images" WHERE "images"."tenant_id" = "token_exemplars"."tenant_id" AND "images"."id" = "token_exemplars"."image_id"
));
CREATE POLICY person_insert ON "token_exemplars" AS RESTRICTIVE FOR INSERT WITH CHECK ((SELECT app_user()) IS NULL);
CREATE POLICY person_update ON "token_exemplars" AS RESTRICTIVE FOR UPDATE
    USING (true) WITH CHECK ((SELECT app_user()) IS NULL);
CREATE POLICY person_delete ON "token_exemplars" AS RESTRICTIVE FOR DELETE USING ((SELECT app_user()) IS NULL);
