-- Erasing: which stored files may go. They are named here and not in the queue, so that no finished job names one.

-- CreateTable
CREATE TABLE "files_to_erase" (
    "tenant_id" UUID NOT NULL,
    "sha256" CHAR(64) NOT NULL,

    CONSTRAINT "files_to_erase_pkey" PRIMARY KEY ("tenant_id","sha256")
);

-- AddForeignKey
ALTER TABLE "files_to_erase" ADD CONSTRAINT "files_to_erase_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "files_to_erase" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "files_to_erase" FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON "files_to_erase" USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
CREATE POLICY person ON "files_to_erase" AS RESTRICTIVE USING ((SELECT app_user()) IS NULL);
