rule chapter:
    input:
        code=lambda to: made_from(to.dataset, to.chapter),
        # The artefacts come first, and so do chapters that share some; but that these were made, or those run, is no
        # reason to run a chapter again. `ancient` would not do: Snakemake does not ask whether a chapter has reasons of
        # its own once an ancient input of it is made again.
        computed=lambda to: [] if is_current(**to) else [done(to.dataset, job) for job in MISSING[to.dataset]],
        before=lambda to: [] if is_current(**to) else earlier(**to),
    output:
        notebook("{dataset}", "{chapter}"),
    shell:
        "saltrust publish {wildcards.chapter} --dataset {wildcards.dataset} --profile {PROFILE} > /dev/null"
