rule chapter:
    input:
        code=lambda to: made_from(to.dataset, to.chapter),
        first=lambda to: comes_first(**to),
    output:
        notebook("{dataset}", "{chapter}"),
    priority: 2  # whoever reads the unfinished book waits for its pages
    shell:
        "saltrust publish {wildcards.chapter} --dataset {wildcards.dataset} --profile {PROFILE} > /dev/null"
