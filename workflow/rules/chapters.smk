rule chapter:
    input:
        code=lambda to: made_from(to.dataset, to.chapter),
        # Ancient: the artefacts come first, but that they were made is no reason to run a chapter again.
        computed=lambda to: [ancient(str(done(to.dataset, job))) for job in MISSING[to.dataset]],
        before=lambda to: [notebook(to.dataset, chapter) for chapter in CHAPTERS[to.dataset][to.chapter]],
    output:
        RESULTS / "{dataset}/notebooks/{chapter}.ipynb",
    shell:
        "saltrust publish {wildcards.chapter} --dataset {wildcards.dataset} --profile {PROFILE} > /dev/null"
