-- Layout 2. The firings of a job are found without a walk through its other decisions.
CREATE INDEX ecss_journal_firings ON ecss_journal (job, seq) WHERE firing IS NOT NULL;
